import type { ReceivedMessage } from '../../../message/message.js';
import { ALL_MESSAGES, type Subscription } from '../../subscription.js';
import type { Clock } from '../../clock.js';
import type { Namespace } from '../../namespace.js';
import { buildSubscriptionData, type SubscriptionData } from '../protocol/subscription-data.js';

/** What the consumer wants now, by the topic's name at the broker. */
export class SubscriptionTable {
  readonly #byTopic = new Map<string, SubscriptionData>();
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
  set(subscription: Subscription): SubscriptionData {
    const data = this.build(subscription);
    this.#byTopic.set(data.topic, data);
    return data;
  }

  /** What {@link set} would set. @throws RocketMQError as {@link set} */
  build({ topic, filter = ALL_MESSAGES }: Subscription): SubscriptionData {
    return buildSubscriptionData(this.#namespace.wrap(topic), filter, this.#nextVersion());
  }

  /** @returns the topic's name at the broker, or undefined when there was no subscription */
  delete(topic: string): string | undefined {
    const wrapped = this.#namespace.wrap(topic);
    return this.#byTopic.delete(wrapped) ? wrapped : undefined;
  }

  /** @param topic its name at the broker */
  get(topic: string): SubscriptionData | undefined {
    return this.#byTopic.get(topic);
  }

  /** Names at the broker. */
  topics(): string[] {
    return [...this.#byTopic.keys()];
  }

  all(): SubscriptionData[] {
    return [...this.#byTopic.values()];
  }

  /** Brokers take the higher version for the newer one; two changes within one millisecond must differ. */
  #nextVersion(): number {
    this.#lastVersion = Math.max(this.#clock.now(), this.#lastVersion + 1);
    return this.#lastVersion;
  }
}

/** The broker compares hash codes of tags only; this compares the tags. (Java: `PullAPIWrapper.processPullResult`.) */
export function passesTagFilter(subscription: SubscriptionData, { tag }: ReceivedMessage): boolean {
  return subscription.tagsSet.length === 0 || (tag !== undefined && subscription.tagsSet.includes(tag));
}
