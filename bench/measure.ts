/** One thing measured: a warm-up, then rounds; peers of one area are interleaved (A B A B) so that drift hits all alike. */
export interface Contender {
  readonly name: string;
  /** Runs for about the time given and says how many operations it did. */
  round(durationMs: number): Promise<Round>;
}

export interface Round {
  readonly operations: number;
  readonly elapsedMs: number;
  /** CPU of this process during the round, milliseconds; undefined for other processes. */
  readonly cpuMs?: number;
}

export interface Figure {
  readonly name: string;
  /** Operations per second: the median of the rounds. */
  readonly median: number;
  /** Lowest and highest round. */
  readonly low: number;
  readonly high: number;
  /** Microseconds of CPU per operation in this process, where known. */
  readonly cpuMicros: number | undefined;
}

/** Measures a loop of this process: wall time and CPU. */
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
}

export async function interleave(contenders: readonly Contender[], plan: Plan): Promise<readonly Figure[]> {
  for (const contender of contenders) await contender.round(plan.warmUpMs);
  const rounds = contenders.map((): Round[] => []);
  for (let i = 0; i < plan.rounds; i++) {
    for (const [index, contender] of contenders.entries())
      rounds[index]?.push(await contender.round(plan.roundMs));
  }
  return contenders.map((contender, index) => figure(contender.name, rounds[index] ?? []));
}

export function figure(name: string, rounds: readonly Round[]): Figure {
  const rates = rounds.map((round) => (round.operations * 1000) / round.elapsedMs).toSorted((a, b) => a - b);
  const withCpu = rounds.filter((round) => round.cpuMs !== undefined && round.operations > 0);
  const cpu = withCpu.reduce((sum, round) => sum + (round.cpuMs ?? 0), 0);
  const operations = withCpu.reduce((sum, round) => sum + round.operations, 0);
  return {
    name,
    median: rates[Math.floor(rates.length / 2)] ?? 0,
    low: rates[0] ?? 0,
    high: rates.at(-1) ?? 0,
    cpuMicros: operations > 0 ? (cpu * 1000) / operations : undefined,
  };
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
