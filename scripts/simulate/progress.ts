import type { Seed } from '../../test/simulation/explore.js';

export interface Failure {
  readonly seed: Seed;
  readonly violations: readonly string[];
}

/** What a number of runs came to. */
export interface Progress {
  runs: number;
  crossings: number;
  faults: number;
  virtualMs: number;
  /** Of the process that made them, megabytes. */
  heapMb: number;
  readonly reached: Record<string, number>;
  readonly injected: Record<string, number>;
  readonly failures: Failure[];
}

export function emptyProgress(): Progress {
  return {
    runs: 0,
    crossings: 0,
    faults: 0,
    virtualMs: 0,
    heapMb: 0,
    reached: {},
    injected: {},
    failures: [],
  };
}

/** Adds the second to the first. */
export function merge(total: Progress, more: Progress): void {
  total.runs += more.runs;
  total.crossings += more.crossings;
  total.faults += more.faults;
  total.virtualMs += more.virtualMs;
  total.heapMb = Math.max(total.heapMb, more.heapMb);
  count(total.reached, Object.entries(more.reached));
  count(total.injected, Object.entries(more.injected));
  total.failures.push(...more.failures);
}

export function count(counts: Record<string, number>, more: Iterable<readonly [string, number]>): void {
  for (const [name, times] of more) counts[name] = (counts[name] ?? 0) + times;
}
