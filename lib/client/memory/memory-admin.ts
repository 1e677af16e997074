import { checkGroup, checkTopic } from '../../message/message-limits.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Admin, BrokerInfo, GroupOptions, TopicDescription, TopicOptions } from '../admin.js';
import { topicNotFound } from './broker-answer.js';
import type { MemoryClientContext } from './memory-client-context.js';
import type { MemoryQueue } from './memory-queue.js';
import { LOCAL_HOST } from './stored-message.js';

/** Administration of the in-process broker. */
export class MemoryAdmin implements Admin {
  readonly #context: MemoryClientContext;
  #closed = false;

  constructor(context: MemoryClientContext) {
    this.#context = context;
  }

  /** The type is remembered and no more: brokers do not hold messages against it either, in the remoting protocol. */
  async createTopic(topic: string, { queues, type = 'NORMAL' }: TopicOptions = {}): Promise<void> {
    checkTopic(topic);
    const { broker, namespace } = this.#context;
    const count = queues ?? broker.settings.queuesPerTopic;
    if (!Number.isInteger(count) || count < 1) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Topic "${topic}" cannot have ${count} queues. Give a whole number from 1.`,
      );
    }
    await this.#ask(() => broker.store.createTopic(namespace.wrap(topic), count, type));
  }

  /** A topic that is not there is as good as deleted. */
  async deleteTopic(topic: string): Promise<void> {
    checkTopic(topic);
    await this.#ask(() => this.#context.broker.deleteTopic(this.#context.namespace.wrap(topic)));
  }

  async topicExists(topic: string): Promise<boolean> {
    checkTopic(topic);
    const { broker, namespace } = this.#context;
    return this.#ask(() => broker.store.queues(namespace.wrap(topic)) !== undefined);
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    checkTopic(topic);
    const { broker, namespace } = this.#context;
    const name = namespace.wrap(topic);
    return this.#ask(() => ({
      topic,
      queues: this.#queues(name).length,
      type: broker.store.typeOf(name),
    }));
  }

  /** How often a message is retried is the consumers' `maxAttempts`, as with brokers from 3.4.9. */
  async createGroup(group: string, _options: GroupOptions = {}): Promise<void> {
    checkGroup(group);
    await this.#ask(() => void this.#context.broker.group(this.#context.namespace.wrap(group)));
  }

  /** With its offsets and its retry topic. Its dead letters stay: they are data somebody may still want. */
  async deleteGroup(group: string): Promise<void> {
    checkGroup(group);
    await this.#ask(() => this.#context.broker.deleteGroup(this.#context.namespace.wrap(group)));
  }

  brokers(): Promise<readonly BrokerInfo[]> {
    const { broker } = this.#context;
    return this.#ask(() => [
      { cluster: 'memory', brokerName: broker.name, addresses: new Map([[0, LOCAL_HOST]]) },
    ]);
  }

  async lag(group: string, topic: string): ReturnType<Admin['lag']> {
    checkGroup(group);
    checkTopic(topic);
    const { broker, namespace } = this.#context;
    return this.#ask(() => {
      const name = namespace.wrap(topic);
      const members = broker.group(namespace.wrap(group));
      const queues = new Map<string, number>();
      let total = 0;
      // A group without any offset has no lag that could be told: where it starts is its own decision.
      for (const [queueId, queue] of members.reads(name) ? this.#queues(name).entries() : []) {
        const behind = Math.max(0, queue.maxOffset - (members.offset(name, queueId) ?? queue.minOffset));
        queues.set(`${broker.name}:${queueId}`, behind);
        total += behind;
      }
      return { total, queues };
    });
  }

  async offsets(topic: string): ReturnType<Admin['offsets']> {
    checkTopic(topic);
    const { broker, namespace } = this.#context;
    return this.#ask(() => {
      const queues = this.#queues(namespace.wrap(topic));
      return new Map(
        queues.map(({ minOffset, maxOffset }, queueId) => [
          `${broker.name}:${queueId}`,
          { min: minOffset, max: maxOffset },
        ]),
      );
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #queues(name: string): readonly MemoryQueue[] {
    const queues = this.#context.broker.store.queues(name);
    if (!queues) throw topicNotFound(name);
    return queues;
  }

  #ask<T>(act: () => T): Promise<T> {
    if (this.#closed) {
      return Promise.reject(new RocketMQError('CLOSED', 'This client is closed. Create a new one.'));
    }
    const { connection, requestTimeoutMs } = this.#context;
    return connection.request({ kind: 'admin' }, act, { timeoutMs: requestTimeoutMs });
  }
}
