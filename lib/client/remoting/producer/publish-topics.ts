import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { BrokerError } from '../../broker-error.js';
import type { ClientInstance } from '../client-instance.js';
import type { MQFaultStrategy } from './mq-fault-strategy.js';

/** A topic whose sends fail is looked up no more often than this. */
const LOOK_AGAIN_MS = 1_000;

/** Where messages of one topic can go. (Java: `TopicPublishInfo`.) */
export class PublishTopic {
  /** As brokers know it, namespace included. */
  readonly name: string;
  /** Writable queues, sorted as Java sorts them; topics as brokers know them. */
  readonly queues: readonly MessageQueue[];
  /** The same queues with the topic as the application knows it, for selectors. */
  readonly shownQueues: readonly MessageQueue[];
  /** Round robin; starts anywhere, so that producers that start together spread. */
  #cursor: number;

  constructor(name: string, shownName: string, queues: readonly MessageQueue[]) {
    this.name = name;
    this.queues = queues;
    this.shownQueues = name === shownName ? queues : queues.map((queue) => ({ ...queue, topic: shownName }));
    this.#cursor = Math.floor(Math.random() * queues.length);
  }

  /**
   * The next queue in turn whose broker is available, on another broker than the last one tried if there is one.
   * (Java: `MQFaultStrategy.selectOneMessageQueue`.)
   */
  nextQueue(faults: MQFaultStrategy, lastBrokerName?: string): MessageQueue {
    const { queues } = this;
    let otherBroker = -1;
    for (let step = 1; step <= queues.length; step++) {
      const index = (this.#cursor + step) % queues.length;
      const { brokerName } = queues[index]!;
      if (brokerName === lastBrokerName) continue;
      if (faults.isAvailable(brokerName)) return this.#take(index);
      if (otherBroker < 0) otherBroker = index;
    }
    return this.#take(otherBroker < 0 ? (this.#cursor + 1) % queues.length : otherBroker);
  }

  #take(index: number): MessageQueue {
    this.#cursor = index;
    return this.queues[index]!;
  }
}

/**
 * The topics a producer has sent to, looked up without a promise in between; a changed route is taken up with the
 * next send.
 */
export class PublishTopics {
  readonly #instance: ClientInstance;
  readonly #topics = new Map<string, PublishTopic>();
  /** By name at the broker: the name in the application. */
  readonly #shownNames = new Map<string, string>();
  /** By name at the broker, on the monotonic clock. */
  readonly #lookedAgainAt = new Map<string, number>();
  readonly #removeListener: () => void;
  #closed = false;

  constructor(instance: ClientInstance) {
    this.#instance = instance;
    this.#removeListener = instance.routes.onChange((topic) => {
      const shown = this.#shownNames.get(topic);
      if (shown !== undefined) this.#topics.delete(shown);
    });
  }

  /** @param topic as the application knows it */
  known(topic: string): PublishTopic | undefined {
    return this.#topics.get(topic);
  }

  /**
   * @param topic as the application knows it
   * @throws RocketMQError `TOPIC_NOT_FOUND`, `NO_WRITABLE_QUEUE`, or what the name servers failed with
   */
  async load(topic: string): Promise<PublishTopic> {
    if (this.#closed) throw new RocketMQError('CLOSED', 'The producer is closed. Create a new one.');
    const { namespace, routes } = this.#instance;
    const name = namespace.wrap(topic);
    if (!this.#shownNames.has(name)) {
      this.#shownNames.set(name, topic);
      routes.track(name);
    }
    const { queues } = await routes.publishQueues(name, { autoCreate: true }).catch((error: unknown) => {
      throw explained(error, topic);
    });
    // Sends that looked it up at the same time take turns together.
    const known = this.#topics.get(topic);
    if (known?.queues === queues) return known;
    const loaded = new PublishTopic(name, topic, queues);
    this.#topics.set(topic, loaded);
    return loaded;
  }

  /** The route may have changed; sends go on with the known one meanwhile. */
  lookAgain({ name }: PublishTopic): void {
    const now = this.#instance.clock.monotonic();
    const before = this.#lookedAgainAt.get(name);
    if (this.#closed || (before !== undefined && now - before < LOOK_AGAIN_MS)) return;
    this.#lookedAgainAt.set(name, now);
    this.#instance.routes.refresh(name).catch((error: unknown) => {
      this.#instance.log('debug', `The route of "${name}" was not read again after a failed send.`, error);
    });
  }

  close(): void {
    this.#closed = true;
    this.#removeListener();
    for (const name of this.#shownNames.keys()) this.#instance.routes.untrack(name);
    this.#shownNames.clear();
    this.#topics.clear();
  }
}

/** The route that failed last is that of the topic which stands in for unknown ones: not what the caller asked for. */
function explained(error: unknown, topic: string): unknown {
  if (!(error instanceof BrokerError) || error.code !== 'TOPIC_NOT_FOUND') return error;
  return new BrokerError(
    'TOPIC_NOT_FOUND',
    `Topic "${topic}" does not exist, and no broker creates topics by itself. Create it (admin.createTopic), correct its name, or set autoCreateTopicEnable=true on a development broker.`,
    { responseCode: error.responseCode, address: error.address, cause: error },
  );
}
