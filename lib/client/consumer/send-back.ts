import { DEAD_LETTER_REASON, storableReason } from '../../message/dead-letter-reason.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { scheduledLevel, BY_SCHEDULE, TO_DEAD_LETTERS } from './delay-level.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { HeldMessage } from './process-queue.js';

/**
 * Gives a message back to the broker: for another delivery later, or as a dead letter. First the broker that stored
 * it, which copies it by its offset; when that fails, as a new message to the retry topic, on any broker.
 * (Java: `DefaultMQPushConsumerImpl.sendMessageBack`.)
 */
export class SendBack {
  readonly #broker: Pick<ConsumerBroker, 'sendBack' | 'sendToRetryTopic'>;
  readonly #maxReconsumeTimes: number;

  /** @param maxReconsumeTimes deliveries after the first before a message is dead */
  constructor(broker: Pick<ConsumerBroker, 'sendBack' | 'sendToRetryTopic'>, maxReconsumeTimes: number) {
    this.#broker = broker;
    this.#maxReconsumeTimes = maxReconsumeTimes;
  }

  /** Whether a retry of this delivery is one too many, so that the broker moves the message to the dead letters. */
  isLastAttempt({ message }: HeldMessage): boolean {
    return message.attempt > this.#maxReconsumeTimes;
  }

  /**
   * @param delayLevel {@link BY_SCHEDULE}, {@link TO_DEAD_LETTERS}, or 1 to 18
   * @param reason of a dead letter
   * @throws RocketMQError when no broker took it
   */
  async send(held: HeldMessage, delayLevel: number, reason?: string): Promise<void> {
    const { message, stored } = held;
    const dead = delayLevel === TO_DEAD_LETTERS || this.isLastAttempt(held);
    if (dead && reason !== undefined && (await this.#sendWithReason(held, reason))) return;
    try {
      await this.#broker.sendBack(message.brokerName, stored, {
        delayLevel: dead ? TO_DEAD_LETTERS : delayLevel,
        maxReconsumeTimes: this.#maxReconsumeTimes,
      });
    } catch (error) {
      await this.#sendToRetryTopic(held, delayLevel, dead, error);
    }
  }

  /**
   * A send-back has no room for a reason, since the broker copies the message itself. A message produced to the
   * retry topic has: one that was delivered too often is moved on to the dead letters with all its properties.
   * Resolves with false when that did not work; a dead letter without a reason is better than none.
   */
  async #sendWithReason({ message, stored }: HeldMessage, reason: string): Promise<boolean> {
    const text = storableReason(reason);
    if (text === undefined) return false;
    const properties = { ...stored.properties, [DEAD_LETTER_REASON]: text };
    try {
      await this.#broker.sendToRetryTopic(
        { ...stored, reconsumeTimes: message.attempt - 1, properties },
        { delayLevel: 0, maxReconsumeTimes: 0 },
      );
      return true;
    } catch {
      return false;
    }
  }

  async #sendToRetryTopic(
    { message, stored }: HeldMessage,
    delayLevel: number,
    dead: boolean,
    sendBackError: unknown,
  ): Promise<void> {
    // Local retries count too.
    const reconsumeTimes = message.attempt - 1;
    try {
      await this.#broker.sendToRetryTopic(
        { ...stored, reconsumeTimes },
        {
          delayLevel: delayLevel === BY_SCHEDULE || dead ? scheduledLevel(reconsumeTimes) : delayLevel,
          // The broker moves a message to the dead letters when it was redelivered more often than this.
          maxReconsumeTimes: dead ? 0 : this.#maxReconsumeTimes,
        },
      );
    } catch (error) {
      throw new RocketMQError(
        'CONNECTION_FAILED',
        `Message ${message.messageId} of "${message.topic}" could not be given back to a broker. It stays here and is handled again shortly; check the brokers.`,
        { retryable: true, cause: new AggregateError([sendBackError, error], 'Send-back and retry topic') },
      );
    }
  }
}
