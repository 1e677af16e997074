import { pause, type Clock } from '../client/clock.js';
import type { PendingRow } from './lane.js';

export interface SettlerOptions {
  /** Rows of one statement. */
  readonly batchSize: number;
  /** How long acknowledged rows gather before the first statement. */
  readonly gatherMs: number;
  /** Pause after the database failed. */
  readonly retryMs: number;
}

/**
 * Removes acknowledged rows from the database, many with one statement. A failure is repeated until it works: the
 * rows stay known here meanwhile and are not sent again by this instance.
 */
export class Settler {
  private buffer: PendingRow[] = [];
  private running: Promise<void> | undefined;
  private underWay = 0;
  private readonly abort = new AbortController();

  constructor(
    private readonly settle: (rows: readonly PendingRow[]) => Promise<void>,
    private readonly options: SettlerOptions,
    private readonly clock: Clock,
    private readonly onSettled: () => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Rows that are acknowledged and not yet removed. */
  get size(): number {
    return this.buffer.length + this.underWay;
  }

  add(rows: readonly PendingRow[]): void {
    for (const pending of rows) this.buffer.push(pending);
    this.running ??= this.run();
  }

  /** Resolves when nothing is left, or when `stop` was called. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  /** Gives up on what the database does not take. */
  stop(): void {
    this.abort.abort();
  }

  private async run(): Promise<void> {
    const { batchSize, gatherMs, retryMs } = this.options;
    const { signal } = this.abort;
    while (this.buffer.length > 0 && !signal.aborted) {
      if (this.buffer.length < batchSize) await pause(this.clock, gatherMs, signal);
      const rows = this.buffer.splice(0, batchSize);
      this.underWay = rows.length;
      try {
        await this.settle(rows);
        this.underWay = 0;
        this.onSettled();
      } catch (error) {
        this.underWay = 0;
        this.buffer.unshift(...rows);
        this.onError(error);
        await pause(this.clock, retryMs, signal);
      }
    }
    this.running = undefined;
  }
}
