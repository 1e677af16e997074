import { ALL_MESSAGES, type Subscription } from '../subscription.js';
import type { Clock } from '../clock.js';
import type { Namespace } from '../namespace.js';
import { topicSubscription, type TopicSubscription } from './topic-subscription.js';

/** What the consumer wants now, by the topic's name at the broker. */
export class SubscriptionTable {
  readonly #byTopic = new Map<string, TopicSubscription>();
  readonly #namespace: Namespace;
  readonly #clock: Clock;
  #lastVersion = 0;

  constructor(namespace: Namespace, clock: Clock) {
    this.#namespace = namespace;
    this.#clock = clock;
  }

  /**
   * @returns the subscription under the topic's name at the broker
   * @throws RocketMQError `INVALID_ARGUMENT` for an empty expression
   */
  set(subscription: Subscription): TopicSubscription {
    const built = this.build(subscription);
    this.#byTopic.set(built.topic, built);
    return built;
  }

  /** What {@link set} would set. @throws RocketMQError as {@link set} */
  build({ topic, filter = ALL_MESSAGES }: Subscription): TopicSubscription {
    return topicSubscription(this.#namespace.wrap(topic), filter, this.#nextVersion());
  }

  /** @returns the topic's name at the broker, or undefined when there was no subscription */
  delete(topic: string): string | undefined {
    const wrapped = this.#namespace.wrap(topic);
    return this.#byTopic.delete(wrapped) ? wrapped : undefined;
  }

  /** @param topic its name at the broker */
  get(topic: string): TopicSubscription | undefined {
    return this.#byTopic.get(topic);
  }

  /** Names at the broker. */
  topics(): string[] {
    return [...this.#byTopic.keys()];
  }

  all(): TopicSubscription[] {
    return [...this.#byTopic.values()];
  }

  /** Brokers take the higher version for the newer one; two changes within one millisecond must differ. */
  #nextVersion(): number {
    this.#lastVersion = Math.max(this.#clock.now(), this.#lastVersion + 1);
    return this.#lastVersion;
  }
}
