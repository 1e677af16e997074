/** One thing measured: a warm-up, then rounds; contenders of one row are interleaved (A B A B) so that drift hits all alike. */
export interface Contender {
  readonly name: string;
  /** Runs for about the time given and says how many operations it did. */
  round(durationMs: number): Promise<Round>;
}

export interface Round {
  readonly operations: number;
  readonly elapsedMs: number;
  /** CPU of the process that worked, during the round, milliseconds; undefined where nobody knows. */
  readonly cpuMs?: number | undefined;
}

export interface Figure {
  readonly name: string;
  /** In the unit of the area: the median of the rounds. NaN when it could not be measured. */
  readonly median: number;
  /** Lowest and highest round. */
  readonly low: number;
  readonly high: number;
  /** Microseconds of CPU per operation, of the process that worked, where known. */
  readonly cpuMicros: number | undefined;
  /** Why there is no figure. */
  readonly missing?: string;
}

/** What of a round is the figure: operations per second, or per operation microseconds of CPU or milliseconds of time. */
export type Measure = 'rate' | 'cpu' | 'time';

/** Measures a piece of work of this process: wall time and CPU. */
export async function timed(work: () => Promise<number>): Promise<Round> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const operations = await work();
  const used = process.cpuUsage(cpu);
  return { operations, elapsedMs: performance.now() - started, cpuMs: (used.user + used.system) / 1000 };
}

export interface Plan {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  /** Only to see that it works: small numbers, meaningless figures. */
  readonly quick: boolean;
  /** Also what takes long. */
  readonly full: boolean;
  /** Put around every round after the warm-up, such as a profiler. */
  readonly around?: ((name: string, round: () => Promise<Round>) => Promise<Round>) | undefined;
}

type Rounds = Pick<Plan, 'rounds' | 'roundMs' | 'warmUpMs' | 'around'>;

/** A round after the warm-up, with what the run puts around it. */
export function roundOf(
  { around }: Pick<Plan, 'around'>,
  name: string,
  round: () => Promise<Round>,
): Promise<Round> {
  return around === undefined ? round() : around(name, round);
}

export async function interleave(
  contenders: readonly Contender[],
  plan: Rounds,
  measure: Measure = 'rate',
): Promise<readonly Figure[]> {
  for (const contender of contenders) await contender.round(plan.warmUpMs);
  const rounds = contenders.map((): Round[] => []);
  for (let i = 0; i < plan.rounds; i++) {
    for (const [index, contender] of contenders.entries())
      rounds[index]?.push(await roundOf(plan, contender.name, () => contender.round(plan.roundMs)));
  }
  return contenders.map((contender, index) => figure(contender.name, rounds[index] ?? [], measure));
}

export function figure(name: string, rounds: readonly Round[], measure: Measure = 'rate'): Figure {
  const values = rounds.map(({ operations, elapsedMs, cpuMs = NaN }) => {
    if (measure === 'rate') return (operations * 1000) / elapsedMs;
    return measure === 'cpu' ? (cpuMs * 1000) / operations : elapsedMs / operations;
  });
  const withCpu = rounds.filter((round) => round.cpuMs !== undefined && round.operations > 0);
  const cpu = withCpu.reduce((sum, round) => sum + (round.cpuMs ?? 0), 0);
  const operations = withCpu.reduce((sum, round) => sum + round.operations, 0);
  return { ...figureOf(name, values), cpuMicros: operations > 0 ? (cpu * 1000) / operations : undefined };
}

/** From values that are in the unit of the area already. */
export function figureOf(name: string, values: readonly number[]): Figure {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  return {
    name,
    median: sorted[Math.floor(sorted.length / 2)] ?? NaN,
    low: sorted[0] ?? NaN,
    high: sorted.at(-1) ?? NaN,
    cpuMicros: undefined,
  };
}

export function missing(name: string, why: string): Figure {
  return { ...figureOf(name, []), missing: why };
}

/** @param share between 0 and 1 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Keeps `concurrency` calls under way until the time is over; resolves with the number that finished. */
export async function keepInFlight(
  concurrency: number,
  durationMs: number,
  call: () => Promise<unknown>,
): Promise<number> {
  const end = performance.now() + durationMs;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await call();
      done++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return done;
}

/**
 * Calls at a steady rate, however long each takes; resolves with how long each took, in milliseconds from the
 * moment it was due: what waits in a queue counts.
 */
export async function atRate(
  perSecond: number,
  durationMs: number,
  call: () => Promise<unknown>,
): Promise<readonly number[]> {
  const started = performance.now();
  const total = Math.max(1, Math.floor((perSecond * durationMs) / 1000));
  const took: number[] = [];
  const calls: Promise<void>[] = [];
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) * perSecond) / 1000));
    for (; sent < due; sent++) {
      const dueAt = started + (sent * 1000) / perSecond;
      calls.push(call().then(() => void took.push(performance.now() - dueAt)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(calls);
  return took;
}
