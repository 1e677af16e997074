import type { MessageQueue } from '../../message/message.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import { queueKey } from './queue-key.js';

type OffsetRequests = Pick<ConsumerBroker, 'committedOffset' | 'commitOffset' | 'onDisconnect'>;

/** Offsets of clustering groups, kept by the broker of each queue. (Java: `RemoteBrokerOffsetStore`.) */
export class RemoteBrokerOffsetStore implements OffsetStore {
  readonly #broker: OffsetRequests;
  /** What the broker acknowledged last. */
  readonly #persisted = new Map<string, number>();
  /** How far this member had come in queues it has or had, whether or not the broker heard of it. */
  readonly #lastKnown = new Map<string, number>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #removeListener: () => void;

  constructor(broker: OffsetRequests) {
    this.#broker = broker;
    // A broker that was killed may come back without the offsets of its last seconds: tell it again.
    this.#removeListener = broker.onDisconnect(() => this.#persisted.clear());
  }

  async read(queue: MessageQueue): Promise<number | undefined> {
    return this.#broker.committedOffset(queue);
  }

  lastKnown(queue: MessageQueue): number | undefined {
    return this.#lastKnown.get(queueKey(queue));
  }

  async persist(offsets: readonly CommittableOffset[]): Promise<void> {
    for (const { queue, offset } of offsets) this.#lastKnown.set(queueKey(queue), offset);
    const results = await Promise.allSettled(offsets.map((offset) => this.#write(offset)));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  /** One request per queue at a time: brokers handle requests at the same time, and the older offset must not win. */
  async #write({ queue, offset }: CommittableOffset): Promise<void> {
    const key = queueKey(queue);
    const before = this.#writing.get(key);
    const writing = (async () => {
      await before?.catch(() => undefined);
      if (this.#persisted.get(key) === offset) return;
      await this.#broker.commitOffset(queue, offset);
      this.#persisted.set(key, offset);
    })();
    this.#writing.set(key, writing);
    try {
      await writing;
    } finally {
      if (this.#writing.get(key) === writing) this.#writing.delete(key);
    }
  }

  forget(queue: MessageQueue): void {
    this.#persisted.delete(queueKey(queue));
  }

  async close(): Promise<void> {
    this.#removeListener();
    this.#persisted.clear();
  }
}
