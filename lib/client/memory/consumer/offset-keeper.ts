import type { MessageQueue } from '../../../message/message.js';
import type { StartFrom } from '../../push-consumer.js';
import type { ConsumerGroup } from '../consumer-group.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import { queueKey } from './process-queue.js';

export interface OffsetKeeperOptions {
  /** As the broker knows it. */
  readonly group: string;
  /** Broadcasting members keep their own offsets. */
  readonly broadcasting: boolean;
  readonly startFrom: StartFrom;
  /** Whatever lies in it was delivered to this group before. */
  readonly isRetryTopic: (topic: string) => boolean;
}

/** Where the group, or with broadcasting this member, stands in each queue. */
export class OffsetKeeper {
  readonly #context: MemoryClientContext;
  readonly #options: OffsetKeeperOptions;
  /** What the broker was told, so that it is told news only. */
  readonly #written = new Map<string, number>();

  constructor(context: MemoryClientContext, options: OffsetKeeperOptions) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * Where a queue that was just assigned begins. A first offset is stored at once: a successor must not apply
   * `startFrom` again and skip what came in between.
   */
  async start(queue: MessageQueue): Promise<number> {
    const stored = await this.read(queue);
    if (stored !== undefined) return stored;
    const { broker, connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = queue;
    const startFrom = this.#options.isRetryTopic(topic) ? 'first' : this.#options.startFrom;
    const first = await connection.request(
      { kind: 'query-offset', topic, queueId },
      () => broker.startOffset(topic, queueId, startFrom),
      { timeoutMs: requestTimeoutMs },
    );
    await this.write(queue, first);
    return first;
  }

  async read({ topic, queueId }: MessageQueue): Promise<number | undefined> {
    const { connection, requestTimeoutMs } = this.#context;
    return connection.request(
      { kind: 'query-offset', group: this.#options.group, topic, queueId },
      () => this.#table().offset(topic, queueId),
      { timeoutMs: requestTimeoutMs },
    );
  }

  async write(queue: MessageQueue, offset: number): Promise<void> {
    const key = queueKey(queue);
    if (this.#written.get(key) === offset) return;
    const { connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = queue;
    await connection.request(
      { kind: 'update-offset', group: this.#options.group, topic, queueId },
      () => this.#table().setOffset(topic, queueId, offset),
      { timeoutMs: requestTimeoutMs },
    );
    this.#written.set(key, offset);
  }

  /** What the broker knows may have changed meanwhile: the queue had other owners. */
  forget(queue: MessageQueue): void {
    this.#written.delete(queueKey(queue));
  }

  #table(): ConsumerGroup {
    const { broker, clientId } = this.#context;
    const { group, broadcasting } = this.#options;
    return broadcasting ? broker.localOffsets(group, clientId) : broker.group(group);
  }
}
