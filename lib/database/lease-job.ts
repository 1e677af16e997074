import { pause, type Clock } from '../client/clock.js';

/** What keeps a job to one instance at a time: a row of the lease table, on the database's clock. */
export interface JobLease {
  /** True when this instance holds the job for the next `ms`. */
  acquire(name: string, owner: string, ms: number): Promise<boolean>;
}

export interface LeaseJobOptions {
  readonly name: string;
  readonly owner: string;
  readonly lease: JobLease;
  readonly clock: Clock;
  /** How often somebody should do it, milliseconds. */
  readonly everyMs: number;
  /** The work. Runs until there is nothing left, or the signal aborts. */
  readonly work: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
  /** Between 0 and 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** Repeats a job on a schedule, in one instance at a time. Whoever finds the lease free does it. */
export class LeaseJob {
  private readonly abort = new AbortController();
  private running: Promise<void> | undefined;

  constructor(private readonly options: LeaseJobOptions) {}

  start(): void {
    this.running ??= this.loop();
  }

  /** Resolves when the current step has ended. */
  async stop(): Promise<void> {
    this.abort.abort();
    await this.running;
  }

  private async loop(): Promise<void> {
    const { name, owner, lease, clock, everyMs, work, onError, random = Math.random } = this.options;
    const { signal } = this.abort;
    // Instances that were started together should not ask together.
    await pause(clock, random() * Math.min(everyMs, 10_000), signal);
    while (!signal.aborted) {
      try {
        // The lease is not given back: it lasts until the job is due again.
        if (await lease.acquire(name, owner, everyMs)) await work(signal);
      } catch (error) {
        onError(error);
      }
      await pause(clock, everyMs, signal);
    }
  }
}
