import type { MessageQueue } from '../../../message/message.js';
import type { ClientInstance } from '../client-instance.js';
import type { MQFaultStrategy } from './mq-fault-strategy.js';

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
    let otherBroker: MessageQueue | undefined;
    for (let tried = 0; tried < queues.length; tried++) {
      this.#cursor = this.#cursor + 1 < queues.length ? this.#cursor + 1 : 0;
      const queue = queues[this.#cursor]!;
      if (queue.brokerName === lastBrokerName) continue;
      if (faults.isAvailable(queue.brokerName)) return queue;
      otherBroker ??= queue;
    }
    if (otherBroker) return otherBroker;
    this.#cursor = this.#cursor + 1 < queues.length ? this.#cursor + 1 : 0;
    return queues[this.#cursor]!;
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
  readonly #removeListener: () => void;

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
    const { namespace, routes } = this.#instance;
    const name = namespace.wrap(topic);
    if (!this.#shownNames.has(name)) {
      this.#shownNames.set(name, topic);
      routes.track(name);
    }
    const { queues } = await routes.publishQueues(name, { autoCreate: true });
    // Sends that looked it up at the same time take turns together.
    const known = this.#topics.get(topic);
    if (known?.queues === queues) return known;
    const loaded = new PublishTopic(name, topic, queues);
    this.#topics.set(topic, loaded);
    return loaded;
  }

  close(): void {
    this.#removeListener();
    for (const name of this.#shownNames.keys()) this.#instance.routes.untrack(name);
    this.#shownNames.clear();
    this.#topics.clear();
  }
}
