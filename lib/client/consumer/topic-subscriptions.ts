import { checkTopic } from '../../message/message-limits.js';
import type { Subscription } from '../subscription.js';
import type { Namespace } from '../namespace.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { SubscriptionTable } from './subscription-table.js';
import type { TopicSubscription } from './topic-subscription.js';

/** Adds and removes subscriptions together with what hangs on them: routes that are kept fresh, filters that compile. */
export class TopicSubscriptions {
  readonly #namespace: Namespace;
  readonly #table: SubscriptionTable;
  readonly #broker: Pick<ConsumerBroker, 'routes' | 'checkFilter'>;

  constructor(
    namespace: Namespace,
    table: SubscriptionTable,
    broker: Pick<ConsumerBroker, 'routes' | 'checkFilter'>,
  ) {
    this.#namespace = namespace;
    this.#table = table;
    this.#broker = broker;
  }

  /**
   * Adds a subscription, or replaces its filter.
   *
   * @throws RocketMQError `TOPIC_NOT_FOUND`; `INVALID_ARGUMENT` for an empty filter; what the broker says about an
   * SQL92 expression it cannot compile
   */
  async add(subscription: Subscription): Promise<TopicSubscription> {
    checkTopic(subscription.topic);
    const topic = this.#namespace.wrap(subscription.topic);
    await this.#check(topic, subscription);
    return this.#set(topic, subscription);
  }

  /**
   * Adds the subscriptions of the start. Topics without a route are kept, for when they appear.
   *
   * @param complain hears of them
   * @throws RocketMQError the first problem, when no topic has a route; any other problem
   */
  async addFirst(
    subscriptions: readonly Subscription[],
    complain: (topic: string, error: unknown) => void,
  ): Promise<void> {
    const missing: { topic: string; error: unknown }[] = [];
    for (const subscription of subscriptions) {
      checkTopic(subscription.topic);
      const topic = this.#namespace.wrap(subscription.topic);
      try {
        await this.#broker.routes.subscribeQueues(topic);
      } catch (error) {
        missing.push({ topic: subscription.topic, error });
        this.#set(topic, subscription);
        continue;
      }
      await this.#check(topic, subscription);
      this.#set(topic, subscription);
    }
    const [first] = missing;
    if (first && missing.length === subscriptions.length) throw first.error;
    for (const { topic, error } of missing) complain(topic, error);
  }

  /** @param topic its name at the broker */
  addUnchecked(topic: string): void {
    this.#set(topic, { topic });
  }

  /** @returns the topic's name at the broker, or undefined when it was not subscribed */
  remove(topic: string): string | undefined {
    const removed = this.#table.delete(topic);
    if (removed !== undefined) this.#broker.routes.untrack(removed);
    return removed;
  }

  removeAll(): void {
    for (const topic of this.#table.topics()) this.remove(topic);
  }

  async #check(topic: string, subscription: Subscription): Promise<void> {
    const [queue] = await this.#broker.routes.subscribeQueues(topic);
    if (queue) await this.#broker.checkFilter(queue, this.#table.build(subscription));
  }

  #set(topic: string, subscription: Subscription): TopicSubscription {
    if (!this.#table.get(topic)) this.#broker.routes.track(topic);
    return this.#table.set(subscription);
  }
}
