import type { MessageQueue } from '../../../message/message.js';
import type { ConsumerRequests } from './consumer-requests.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import { queueKey } from './queue-key.js';

/** Offsets of clustering groups, kept by the broker of each queue. (Java: `RemoteBrokerOffsetStore`.) */
export class RemoteBrokerOffsetStore implements OffsetStore {
  readonly #requests: ConsumerRequests;
  /** What the broker acknowledged last. */
  readonly #persisted = new Map<string, number>();

  constructor(requests: ConsumerRequests) {
    this.#requests = requests;
  }

  async read(queue: MessageQueue): Promise<number | undefined> {
    return this.#requests.committedOffset(queue);
  }

  async persist(offsets: readonly CommittableOffset[]): Promise<void> {
    const results = await Promise.allSettled(
      offsets
        .filter(({ queue, offset }) => this.#persisted.get(queueKey(queue)) !== offset)
        .map(async ({ queue, offset }) => {
          await this.#requests.commitOffset(queue, offset);
          this.#persisted.set(queueKey(queue), offset);
        }),
    );
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  forget(queue: MessageQueue): void {
    this.#persisted.delete(queueKey(queue));
  }

  async close(): Promise<void> {
    this.#persisted.clear();
  }
}
