/**
 * Runs the simulator: `npm run simulate -- --schedules N --seed S [--workers W] [--pairs] [--no-single]`,
 * `--replay SEED` for one run with its history, `--mutants` to see that wrong code is noticed.
 * Exits with 1 when a law was broken, or a mutant went unnoticed.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  huntingGround,
  KNOWN_FAULTS,
  KNOWN_POINTS,
  pairsOfDeaths,
  randomSeeds,
  runSeed,
  singleFaults,
  type Seed,
} from '../test/simulation/explore.js';
import { hunt, MUTANTS } from '../test/simulation/mutants.js';

interface Progress {
  runs: number;
  crossings: number;
  faults: number;
  virtualMs: number;
  readonly reached: Record<string, number>;
  readonly injected: Record<string, number>;
  readonly failures: { readonly seed: Seed; readonly violations: readonly string[] }[];
}

const REPORT_EVERY = 200;
const FAILURES_SHOWN = 20;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    pairs: { type: 'boolean', default: false },
    'no-single': { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    replay: { type: 'string' },
    part: { type: 'string' },
  },
});

// Nobody looks at the stacks of the many errors that belong to a run.
Error.stackTraceLimit = 0;

async function* allSeeds(): AsyncGenerator<Seed> {
  if (!values['no-single']) yield* singleFaults();
  if (values.pairs) yield* pairsOfDeaths();
  yield* randomSeeds(Number(values.seed), Number(values.schedules));
}

async function work(part: number, parts: number, report: (progress: Progress) => void): Promise<void> {
  let progress = emptyProgress();
  let index = 0;
  for await (const seed of allSeeds()) {
    if (index++ % parts !== part) continue;
    const { violations, crossings, faults, virtualMs, coverage } = await runSeed(seed);
    progress.runs += 1;
    progress.crossings += crossings;
    progress.faults += faults;
    progress.virtualMs += virtualMs;
    for (const [point, count] of coverage.reached) add(progress.reached, point, count);
    for (const [fault, count] of coverage.injected) add(progress.injected, fault, count);
    if (violations.length > 0) progress.failures.push({ seed, violations });
    if (progress.runs < REPORT_EVERY) continue;
    report(progress);
    progress = emptyProgress();
    await new Promise((resolve) => setImmediate(resolve));
  }
  report(progress);
}

async function explore(): Promise<boolean> {
  const workers = Number(values.workers);
  const total = emptyProgress();
  const begun = performance.now();
  let shown = begun;
  const onProgress = (progress: Progress): void => {
    total.runs += progress.runs;
    total.crossings += progress.crossings;
    total.faults += progress.faults;
    total.virtualMs += progress.virtualMs;
    for (const [point, count] of Object.entries(progress.reached)) add(total.reached, point, count);
    for (const [fault, count] of Object.entries(progress.injected)) add(total.injected, fault, count);
    for (const failure of progress.failures) {
      total.failures.push(failure);
      if (total.failures.length <= FAILURES_SHOWN)
        console.log(`${failure.seed}\n  ${failure.violations.join('\n  ')}`);
    }
    if (performance.now() - shown < 10_000) return;
    shown = performance.now();
    console.log(
      `${total.runs} schedules, ${total.failures.length} with violations, ${rate(total.runs, begun)}`,
    );
  };
  if (workers === 1) await work(0, 1, onProgress);
  else await Promise.all(Array.from({ length: workers }, (_, part) => inProcess(part, workers, onProgress)));

  const { runs, crossings, faults, virtualMs, reached, injected, failures } = total;
  console.log(`schedules      ${runs} in ${seconds(begun)} (${rate(runs, begun)})`);
  console.log(
    `steps          ${crossings} calls out of a process, ${faults} faults, ${hours(virtualMs)} of simulated time`,
  );
  coverage('points', KNOWN_POINTS, reached);
  coverage('point+fault', KNOWN_FAULTS, injected);
  console.log(`violations     ${failures.length}`);
  const [first] = failures;
  if (first === undefined) return true;
  console.log(`\n${first.seed}\n${(await runSeed(first.seed, { history: true })).history}`);
  console.log(`\nAgain: npm run simulate -- --replay ${first.seed}`);
  return false;
}

function inProcess(part: number, parts: number, onProgress: (progress: Progress) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(
      fileURLToPath(import.meta.url),
      [...process.argv.slice(2), '--part', `${part}/${parts}`],
      {
        execArgv: process.execArgv,
        serialization: 'json',
      },
    );
    child.on('message', (message) => onProgress(message as Progress));
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`Worker ${part} ended with ${String(code)}`)),
    );
  });
}

async function mutants(): Promise<boolean> {
  let missed = 0;
  for (const mutant of MUTANTS) {
    const { seed, violation, runs } = await hunt(
      mutant,
      huntingGround(Number(values.seed), Number(values.schedules)),
    );
    if (seed === undefined) missed += 1;
    console.log(
      seed === undefined
        ? `MISSED ${mutant.name} (${runs} schedules)`
        : `caught ${mutant.name}\n       ${seed}: ${violation ?? ''} (${runs} schedules)`,
    );
  }
  console.log(`\n${MUTANTS.length - missed} of ${MUTANTS.length} mutants caught`);
  return missed === 0;
}

async function replay(seed: Seed): Promise<boolean> {
  const { violations, history } = await runSeed(seed, { history: true });
  console.log(history);
  console.log(violations.length === 0 ? '\nno violation' : `\n${violations.join('\n')}`);
  return violations.length === 0;
}

function coverage(what: string, known: readonly string[], counts: Readonly<Record<string, number>>): void {
  const missing = known.filter((each) => counts[each] === undefined);
  console.log(`${what.padEnd(14)} ${known.length - missing.length} of ${known.length}`);
  if (missing.length > 0)
    console.log(
      `               never: ${missing.slice(0, 40).join(', ')}${missing.length > 40 ? ', …' : ''}`,
    );
}

function emptyProgress(): Progress {
  return { runs: 0, crossings: 0, faults: 0, virtualMs: 0, reached: {}, injected: {}, failures: [] };
}

function add(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count;
}

function rate(runs: number, begun: number): string {
  return `${Math.round((runs / (performance.now() - begun)) * 1_000)}/s`;
}

function seconds(begun: number): string {
  return `${((performance.now() - begun) / 1_000).toFixed(1)} s`;
}

function hours(ms: number): string {
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

async function main(): Promise<boolean> {
  if (values.part !== undefined) {
    const [part = 0, parts = 1] = values.part.split('/').map(Number);
    await work(part, parts, (progress) => process.send?.(progress));
    return true;
  }
  if (values.replay !== undefined) return replay(values.replay);
  return values.mutants ? mutants() : explore();
}

process.exitCode = (await main()) ? 0 : 1;
// What a simulated crash left waiting waits forever.
if (process.connected) process.disconnect();
