import type { Clock } from '../../clock.js';

/**
 * Brokers from 5.0 note the end of a transaction in batches, every three seconds (`transactionOpBatchInterval`), and
 * may ask about one meanwhile; a second commit would deliver the message twice. Much longer than that, and much
 * shorter than what a broker waits that has really lost the outcome and asks on.
 */
const WINDOW_MS = 30_000;
/** What is remembered at most; the oldest goes first. */
const MAX_REMEMBERED = 100_000;

/** The transactions whose outcome a broker has confirmed a moment ago. */
export class RecentlyEnded {
  readonly #clock: Clock;
  /** When, by message id and broker; oldest first. */
  readonly #endedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(messageId: string, brokerName: string | undefined): void {
    const now = this.#clock.monotonic();
    for (const [key, endedAt] of this.#endedAt) {
      if (now - endedAt < WINDOW_MS && this.#endedAt.size < MAX_REMEMBERED) break;
      this.#endedAt.delete(key);
    }
    this.#endedAt.set(keyOf(messageId, brokerName), now);
  }

  has(messageId: string, brokerName: string | undefined): boolean {
    const endedAt = this.#endedAt.get(keyOf(messageId, brokerName));
    return endedAt !== undefined && this.#clock.monotonic() - endedAt < WINDOW_MS;
  }
}

function keyOf(messageId: string, brokerName: string | undefined): string {
  return `${messageId}@${brokerName ?? ''}`;
}
