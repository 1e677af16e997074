import { retryTopicOf } from '../../group-topics.js';
import type { StoredMessage } from '../../consumer/stored-message.js';
import type { ClientInstance } from '../client-instance.js';
import { encodeProperties } from '../protocol/message-properties.js';
import { PropertyName } from '../protocol/property-name.js';
import { MessageSender } from './message-sender.js';
import { MQFaultStrategy } from './mq-fault-strategy.js';
import { checkPropertiesLength, compressBody } from './outgoing-message.js';
import { PublishTopics } from './publish-topics.js';

/** (Java: `MixAll.CLIENT_INNER_PRODUCER_GROUP`.) */
const INNER_PRODUCER_GROUP = 'CLIENT_INNER_PRODUCER';
/** (Java: `DefaultMQProducer.compressMsgBodyOverHowmuch` of the inner producer.) */
const COMPRESS_ABOVE_BYTES = 4_096;
const MAX_ATTEMPTS = 3;

export interface RetryTopicSendOptions {
  /** Delay level of the redelivery, 1 to 18. */
  readonly delayLevel: number;
  /** After so many reconsumptions the broker moves the message to `%DLQ%group`. */
  readonly maxReconsumeTimes: number;
  /** Milliseconds over all attempts. */
  readonly timeoutMs: number;
}

/**
 * Sends a message back by producing it to `%RETRY%group`: the fallback when CONSUMER_SEND_MSG_BACK fails, and the
 * way orderly consumers give up a message. (Java: `DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage`.)
 */
export class RetryTopicSender {
  readonly #instance: ClientInstance;
  readonly #topics: PublishTopics;
  readonly #sender: MessageSender;

  constructor(instance: ClientInstance) {
    this.#instance = instance;
    this.#topics = new PublishTopics(instance);
    const faults = new MQFaultStrategy(false, instance.clock);
    this.#sender = new MessageSender(instance, INNER_PRODUCER_GROUP, this.#topics, faults, 'accept');
  }

  /**
   * @param group the group as brokers know it, namespace included
   * @throws RocketMQError when no broker of the retry topic took it
   */
  async send(group: string, stored: StoredMessage, options: RetryTopicSendOptions): Promise<void> {
    const { clock } = this.#instance;
    const { maxReconsumeTimes } = options;
    const reconsumeTimes = stored.reconsumeTimes + 1;
    const topic = retryTopicOf(group);
    const properties = encodeProperties(retryProperties(stored, options.delayLevel));
    checkPropertiesLength(properties, topic);
    const { body, sysFlag } =
      stored.body.length < COMPRESS_ABOVE_BYTES
        ? { body: stored.body, sysFlag: 0 }
        : await compressBody(stored.body);
    await this.#sender.send(
      {
        topic,
        body,
        sysFlag,
        properties,
        flag: stored.flag,
        bornTimestamp: clock.now(),
        // The broker counts by the header, not by the properties of the message.
        reconsumeTimes,
        // 5.x buries what exceeds the maximum, 4.9 what reaches it (SendMessageProcessor.handleRetryAndDLQ).
        maxReconsumeTimes: reconsumeTimes > maxReconsumeTimes ? maxReconsumeTimes : maxReconsumeTimes + 1,
      },
      { deadline: clock.monotonic() + options.timeoutMs, maxAttempts: MAX_ATTEMPTS },
    );
  }

  close(): void {
    this.#topics.close();
  }
}

/** The message keeps its identity and headers, and remembers where it came from. */
function retryProperties(
  { properties, topic, offsetMessageId }: StoredMessage,
  delayLevel: number,
): Record<string, string | undefined> {
  return {
    ...properties,
    [PropertyName.ORIGIN_MESSAGE_ID]:
      properties[PropertyName.ORIGIN_MESSAGE_ID] ??
      properties[PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX] ??
      offsetMessageId,
    [PropertyName.RETRY_TOPIC]: properties[PropertyName.RETRY_TOPIC] ?? topic,
    [PropertyName.DELAY_TIME_LEVEL]: String(delayLevel),
    // A half message was committed long ago; the checksum was of the stored form.
    [PropertyName.TRANSACTION_PREPARED]: undefined,
    [PropertyName.CRC32]: undefined,
  };
}
