import type { MessageToStore, StoredMessage } from './stored-message.js';

/** One queue of a topic: messages by offset, in the order they were stored. */
export class MemoryQueue {
  readonly #messages: StoredMessage[] = [];
  readonly #arrivals = new Set<() => void>();
  #minOffset = 0;

  get minOffset(): number {
    return this.#minOffset;
  }

  /** The offset the next message gets. */
  get maxOffset(): number {
    return this.#minOffset + this.#messages.length;
  }

  append(
    message: MessageToStore,
    queueId: number,
    commitLogOffset: number,
    storeTimestamp: number,
  ): StoredMessage {
    const { topic, body, properties, bornTimestamp, bornHost, reconsumeTimes } = message;
    const stored: StoredMessage = {
      topic,
      queueId,
      queueOffset: this.maxOffset,
      commitLogOffset,
      body,
      properties,
      bornTimestamp,
      bornHost,
      storeTimestamp,
      reconsumeTimes,
    };
    this.#messages.push(stored);
    for (const wake of this.#arrivals) wake();
    return stored;
  }

  at(offset: number): StoredMessage | undefined {
    return this.#messages[offset - this.#minOffset];
  }

  /** Messages from the offset on, or from the lowest one there is. */
  from(offset: number, limit: number): readonly StoredMessage[] {
    const start = Math.max(0, offset - this.#minOffset);
    return this.#messages.slice(start, start + limit);
  }

  all(): readonly StoredMessage[] {
    return this.#messages;
  }

  /** The first offset stored at that time or later; the end of the queue when there is none. */
  offsetAt(timestamp: number): number {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#messages[middle]?.storeTimestamp ?? Infinity) < timestamp) low = middle + 1;
      else high = middle;
    }
    return this.#minOffset + low;
  }

  /** Forgets what lies before the offset and gives it back. */
  trimTo(offset: number): readonly StoredMessage[] {
    const count = Math.min(Math.max(0, offset - this.#minOffset), this.#messages.length);
    this.#minOffset += count;
    return this.#messages.splice(0, count);
  }

  /** The queue is gone: whoever waits looks again. */
  close(): void {
    for (const wake of this.#arrivals) wake();
  }

  /** Calls `wake` at every arrival until the returned function is called. */
  onArrival(wake: () => void): () => void {
    this.#arrivals.add(wake);
    return () => {
      this.#arrivals.delete(wake);
    };
  }
}
