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
  /** Queues that were told of once at least. */
  readonly #told = new Set<string>();
  /** By broker and topic: the first write, which the others wait for. */
  readonly #first = new Map<string, Promise<void>>();
  readonly #removeListener: () => void;

  constructor(broker: OffsetRequests) {
    this.#broker = broker;
    // A broker that was killed may come back without the offsets of its last seconds: tell it again.
    this.#removeListener = broker.onDisconnect(() => this.#forgetAll());
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
  async #write(committable: CommittableOffset): Promise<void> {
    const key = queueKey(committable.queue);
    const before = this.#writing.get(key);
    const writing = (async () => {
      await before?.catch(() => undefined);
      if (this.#persisted.get(key) !== committable.offset) await this.#tell(key, committable);
    })();
    this.#writing.set(key, writing);
    try {
      await writing;
    } finally {
      if (this.#writing.get(key) === writing) this.#writing.delete(key);
    }
  }

  /**
   * The first offsets of a group in a topic may get lost although the broker acknowledged them: two that come at the same
   * time replace each other's table. So the first goes alone, and that of each queue is told again with the next round,
   * because another member may have been at it too. Source: ConsumerOffsetManager.commitOffset.
   */
  async #tell(key: string, { queue, offset }: CommittableOffset): Promise<void> {
    const table = `${queue.topic}@${queue.brokerName}`;
    for (let first = this.#first.get(table); first !== undefined; first = this.#first.get(table)) {
      if (await first.then(yes, no)) break;
    }
    const told = this.#broker.commitOffset(queue, offset);
    if (!this.#first.has(table)) this.#first.set(table, told);
    try {
      await told;
    } catch (error) {
      if (this.#first.get(table) === told) this.#first.delete(table);
      throw error;
    }
    if (this.#told.has(key)) this.#persisted.set(key, offset);
    this.#told.add(key);
  }

  forget(queue: MessageQueue): void {
    this.#persisted.delete(queueKey(queue));
  }

  async close(): Promise<void> {
    this.#removeListener();
    this.#forgetAll();
  }

  #forgetAll(): void {
    this.#persisted.clear();
    this.#told.clear();
    this.#first.clear();
  }
}

const yes = (): boolean => true;
const no = (): boolean => false;
