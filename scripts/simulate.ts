/**
 * Runs the simulator: `npm run simulate -- --schedules N --seed S [--workers W] [--pairs] [--no-single] [--every N]`,
 * `--replay SEED` for one run with its history, `--mutants` to see that wrong code is noticed. Stops at the first
 * broken law, unless told to `--go-on`. Exits with 1 when a law was broken, or a mutant went unnoticed.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { huntingGround, KNOWN_FAULTS, KNOWN_POINTS, runSeed, type Seed } from '../test/simulation/explore.js';
import { hunt, MUTANTS } from '../test/simulation/mutants.js';
import { compile } from './simulate/compile.js';
import { emptyProgress, merge, type Progress } from './simulate/progress.js';
import type { Assignment } from './simulate/worker.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WORKER = fileURLToPath(new URL('./simulate/worker.ts', import.meta.url));
/** Many small objects that live for a moment: a large nursery costs less than many small ones, helpers cost cores. */
const NODE_OPTIONS = ['--max-semi-space-size=32', '--single-threaded-gc'];
const SHOW_EVERY_MS = 10_000;
const FAILURES_SHOWN = 20;
const MISSING_SHOWN = 80;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    pairs: { type: 'boolean', default: false },
    every: { type: 'string', default: '1' },
    'no-single': { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    replay: { type: 'string' },
  },
});

for (const name of ['schedules', 'seed', 'workers', 'every'] as const) {
  if (/^\d+$/.test(values[name])) continue;
  console.error(`--${name} needs a whole number, not "${values[name]}".`);
  process.exit(2);
}

Error.stackTraceLimit = 0;

async function explore(): Promise<boolean> {
  const total = emptyProgress();
  const begun = performance.now();
  let shown = begun;
  const goesOn = await inWorkers(Number(values.workers), (progress) => {
    merge(total, progress);
    for (const { seed, violations } of progress.failures.slice(0, FAILURES_SHOWN)) {
      console.log(`${seed}\n  ${violations.join('\n  ')}`);
    }
    if (performance.now() - shown >= SHOW_EVERY_MS) {
      shown = performance.now();
      console.log(
        `${total.runs} schedules in ${duration(begun)} (${rate(total.runs, begun)}), ${total.faults} faults, ${total.failures.length} with violations, heap up to ${progress.heapMb.toFixed(0)} MB`,
      );
    }
    return values['go-on'] || total.failures.length === 0;
  });
  if (!goesOn) console.log('Stopped at the first violation; --go-on goes on.');

  const { runs, crossings, faults, virtualMs, reached, injected, failures } = total;
  console.log(`schedules      ${runs} in ${duration(begun)} (${rate(runs, begun)})`);
  console.log(
    `steps          ${crossings} calls out of a process, ${faults} faults, ${(virtualMs / 3_600_000).toFixed(1)} h of simulated time`,
  );
  coverage('points', KNOWN_POINTS, reached);
  coverage('point+fault', KNOWN_FAULTS, injected);
  console.log(`heap           up to ${total.heapMb.toFixed(0)} MB`);
  console.log(`violations     ${failures.length}`);
  const [first] = failures;
  if (first === undefined) return true;
  const { history, violations } = await runSeed(first.seed, { history: true });
  console.log(`\n${first.seed}\n${history}\n\n${violations.join('\n')}`);
  console.log(`\nAgain: npm run simulate -- --replay ${first.seed}`);
  return false;
}

/**
 * Runs everything in processes of their own.
 *
 * @param onProgress answers whether to go on
 * @returns whether it went to the end
 */
async function inWorkers(parts: number, onProgress: (progress: Progress) => boolean): Promise<boolean> {
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'simulate-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  const file = compile(WORKER, ROOT, directory);
  let goesOn = true;
  const workers = Array.from({ length: parts }, (_, part) => {
    const assignment: Assignment = {
      single: !values['no-single'],
      pairs: values.pairs,
      from: Number(values.seed),
      schedules: Number(values.schedules),
      part,
      parts,
      every: Number(values.every),
    };
    return fork(file, [JSON.stringify(assignment)], { execArgv: NODE_OPTIONS });
  });
  await Promise.all(
    workers.map(
      (worker, part) =>
        new Promise<void>((resolve, reject) => {
          worker.on('message', (message) => {
            if (!goesOn) return;
            goesOn = onProgress(message as Progress);
            if (!goesOn) for (const each of workers) each.kill();
          });
          worker.on('exit', (code) => {
            if (code === 0 || !goesOn) resolve();
            else reject(new Error(`Worker ${part} ended with ${String(code)}`));
          });
        }),
    ),
  );
  return goesOn;
}

/** The run that showed it last time, then everything else. */
async function* groundFor(shownBy: Seed): AsyncGenerator<Seed> {
  yield shownBy;
  yield* huntingGround(Number(values.seed), Number(values.schedules));
}

async function mutants(): Promise<boolean> {
  let missed = 0;
  for (const mutant of MUTANTS) {
    const { seed, violation, runs } = await hunt(mutant, groundFor(mutant.shownBy));
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
  if (missing.length === 0) return;
  const shown = missing.slice(0, MISSING_SHOWN).join(', ');
  console.log(`               never: ${shown}${missing.length > MISSING_SHOWN ? ', …' : ''}`);
}

function rate(runs: number, begun: number): string {
  return `${Math.round((runs / (performance.now() - begun)) * 1_000)}/s`;
}

function duration(begun: number): string {
  return `${((performance.now() - begun) / 1_000).toFixed(1)} s`;
}

async function main(): Promise<boolean> {
  if (values.replay !== undefined) return replay(values.replay);
  return values.mutants ? mutants() : explore();
}

process.exitCode = (await main()) ? 0 : 1;
