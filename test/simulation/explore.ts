import { faultsAt, NO_FAULTS, parseFaults, type FaultKind } from './faults.js';
import { Prng } from './prng.js';
import { REGRESSIONS } from './regressions.js';
import { run, type RunResult } from './run.js';
import { randomScenario, SMALL_SCENARIOS, type Scenario } from './scenario.js';
import { SITUATIONS } from './situations.js';
import { STATEMENTS } from './statements.js';
import { variedScenario } from './varied-scenario.js';

/** One run, as text: `scenario:seed:faults`. The same text gives the same run. */
export type Seed = string;

const MADE_UP: Readonly<Record<string, (random: Prng) => Scenario>> = {
  random: randomScenario,
  varied: variedScenario,
};

/** Runs what a seed stands for. */
export function runSeed(
  seed: Seed,
  options: { readonly trace?: boolean; readonly history?: boolean } = {},
): Promise<RunResult> {
  const [name = '', number = '1', faults = '-'] = seed.split(':');
  const random = new Prng(Number(number));
  const scenario = MADE_UP[name]?.(random) ?? scenarioOf(name);
  return run(
    scenario,
    Number(number),
    parseFaults(faults, () => random),
    options,
  );
}

const NAMED: Readonly<Record<string, Scenario>> = { ...SMALL_SCENARIOS, ...SITUATIONS, ...REGRESSIONS };

function scenarioOf(name: string): Scenario {
  const scenario = NAMED[name];
  if (scenario === undefined) {
    const known = Object.keys(NAMED).join(', ');
    throw new Error(`There is no scenario "${name}". Use random, varied, ${known}.`);
  }
  return scenario;
}

/** Whose calls all fail once. */
const ENUMERATED = [
  ...Object.keys(SMALL_SCENARIOS),
  'dead',
  'dead-skipped',
  'batch',
  'lease-renewed',
  'own-checker',
  'leaving',
  'swept',
];

/** Every fault at every crossing of the border of a process, one at a time. */
export async function* singleFaults(scenarios: readonly string[] = ENUMERATED): AsyncGenerator<Seed> {
  for (const name of scenarios) {
    for (const [crossing, point] of (await traceOf(name)).entries()) {
      for (const kind of faultsAt(point)) yield `${name}:1:${crossing}=${kind}`;
    }
  }
}

const DEATHS: readonly FaultKind[] = ['crash-before', 'crash-after'];
const PAIRS = DEATHS.flatMap((one) => DEATHS.map((other) => [one, other] as const));

/** Every two deaths, one after the other. */
export async function* pairsOfDeaths(scenarios = Object.keys(SMALL_SCENARIOS)): AsyncGenerator<Seed> {
  for (const name of scenarios) {
    const { length } = await traceOf(name);
    for (let first = 0; first < length; first++) {
      for (let second = first + 1; second < length; second++) {
        for (const [one, other] of PAIRS) yield `${name}:1:${first}=${one},${second}=${other}`;
      }
    }
  }
}

/** Scenarios and faults that a number makes up. */
export function* randomSeeds(from: number, count: number): Generator<Seed> {
  for (let seed = from; seed < from + count; seed++) {
    yield `${seed % 4 === 3 ? 'varied' : 'random'}:${seed}:random`;
  }
}

/** Where mutants are looked for: everything small, then chance. */
export async function* huntingGround(from: number, count: number): AsyncGenerator<Seed> {
  for (const name of [...Object.keys(REGRESSIONS), ...Object.keys(SITUATIONS)]) yield `${name}:1:-`;
  for (let seed = from; seed < from + count; seed++) {
    yield `random:${seed}:random`;
    for (const name of Object.keys(SMALL_SCENARIOS)) yield `${name}:${seed}:random`;
  }
  yield* singleFaults();
}

async function traceOf(name: string): Promise<readonly string[]> {
  const { trace = [] } = await run(scenarioOf(name), 1, NO_FAULTS, { trace: true });
  return trace;
}

const BROKER_POINTS = [
  'ping',
  'route',
  'send',
  'send-batch',
  'send-half',
  'end-transaction',
  'send-back',
  'heartbeat',
  'unregister',
  'members',
  'lock',
  'unlock',
  'pull',
  'query-offset',
  'update-offset',
].map((kind) => `broker.${kind}`);

/** Where the code under test can leave its process. */
export const KNOWN_POINTS: readonly string[] = [
  'clock.wake',
  'db.connect',
  'db.begin',
  'db.commit',
  'db.rollback',
  ...STATEMENTS.map(({ name }) => `db.${name}`),
  ...BROKER_POINTS,
];

/** Every fault at every point, as `point fault`. */
export const KNOWN_FAULTS: readonly string[] = KNOWN_POINTS.flatMap((point) =>
  faultsAt(point).map((kind) => `${point} ${kind}`),
);
