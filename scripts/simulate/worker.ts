/** A process that runs every n-th schedule, and tells its parent about them. Started by `scripts/simulate.ts`. */
import {
  pairsOfDeaths,
  randomSeeds,
  runSeed,
  singleFaults,
  type Seed,
} from '../../test/simulation/explore.js';
import { count, emptyProgress } from './progress.js';

/** What a worker is to do. */
export interface Assignment {
  readonly single: boolean;
  readonly pairs: boolean;
  readonly from: number;
  readonly schedules: number;
  /** It takes the schedules whose number leaves this remainder. */
  readonly part: number;
  readonly parts: number;
  /** Of those that are enumerated or made up, one of so many. */
  readonly every: number;
}

const REPORT_EVERY_MS = 1_000;
const MEGABYTE = 1_048_576;

// Nobody looks at the stacks of the many errors that belong to a run.
Error.stackTraceLimit = 0;

async function* seedsOf({ single, pairs, from, schedules }: Assignment): AsyncGenerator<Seed> {
  if (single) yield* singleFaults();
  if (pairs) yield* pairsOfDeaths();
  yield* randomSeeds(from, schedules);
}

async function work(assignment: Assignment): Promise<void> {
  let progress = emptyProgress();
  let reportedAt = performance.now();
  let index = 0;
  const { part, parts, every } = assignment;
  for await (const seed of seedsOf(assignment)) {
    const number = index++ / every;
    if (number % parts !== part) continue;
    const { violations, crossings, faults, virtualMs, coverage } = await runSeed(seed);
    progress.runs += 1;
    progress.crossings += crossings;
    progress.faults += faults;
    progress.virtualMs += virtualMs;
    count(progress.reached, coverage.reached);
    count(progress.injected, coverage.injected);
    if (violations.length > 0) progress.failures.push({ seed, violations });
    if (violations.length === 0 && performance.now() - reportedAt < REPORT_EVERY_MS) continue;
    progress.heapMb = process.memoryUsage().heapUsed / MEGABYTE;
    process.send?.(progress);
    progress = emptyProgress();
    reportedAt = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
  }
  process.send?.(progress);
}

process.on('disconnect', () => process.exit());
await work(JSON.parse(process.argv[2] ?? '') as Assignment);
// What a simulated crash left waiting waits forever.
process.disconnect();
