import type { ClientInstance } from '../client-instance.js';
import type { StoredMessage } from '../protocol/stored-message.js';

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

  constructor(instance: ClientInstance) {
    this.#instance = instance;
  }

  /**
   * @param group the group as the broker knows it, namespace included
   * @throws RocketMQError when no broker of the retry topic took it
   */
  async send(group: string, stored: StoredMessage, options: RetryTopicSendOptions): Promise<void> {
    void this.#instance;
    void group;
    void stored;
    void options;
    return Promise.reject(new Error('not there yet'));
  }
}
