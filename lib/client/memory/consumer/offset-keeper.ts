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
  /** When this member began with the topic, epoch milliseconds, and whether it has had its whole share since. */
  readonly #topics = new Map<string, { readonly since: number; settled: boolean }>();

  constructor(context: MemoryClientContext, options: OffsetKeeperOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** This member has all that was to be shared out: queues of the topic that come from now on came later. */
  settled(topic: string): void {
    this.#begun(topic).settled = true;
  }

  /**
   * Where a queue that was just assigned begins. A first offset is stored at once: a successor must not apply
   * `startFrom` again and skip what came in between. Nor is what lies in a queue skipped that came later than this
   * member (docs/adr/0007).
   */
  async start(queue: MessageQueue): Promise<number> {
    const { since, settled } = this.#begun(queue.topic);
    const stored = await this.read(queue);
    if (stored !== undefined) return stored;
    const { broker, connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = queue;
    const startFrom = this.#options.isRetryTopic(topic) ? 'first' : this.#options.startFrom;
    const first = await connection.request(
      { kind: 'query-offset', topic, queueId },
      () => {
        const first = broker.startOffset(topic, queueId, startFrom);
        return settled ? Math.min(first, broker.startOffset(topic, queueId, new Date(since))) : first;
      },
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

  #begun(topic: string): { readonly since: number; settled: boolean } {
    let begun = this.#topics.get(topic);
    if (begun === undefined) {
      begun = { since: this.#context.clock.now(), settled: false };
      this.#topics.set(topic, begun);
    }
    return begun;
  }

  #table(): ConsumerGroup {
    const { broker, clientId } = this.#context;
    const { group, broadcasting } = this.#options;
    return broadcasting ? broker.localOffsets(group, clientId) : broker.group(group);
  }
}
