import { storableReason } from '../../../message/dead-letter-reason.js';
import type { ReceivedMessage } from '../../../message/message.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import type { HeldMessage } from './process-queue.js';

/** Source: MessageStoreConfig.messageDelayLevel, as the other engines translate a delay. */
const DEFAULT_DELAY_SECONDS = [
  1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
];

/** By how often it was delivered. */
export const BY_SCHEDULE = 0;
export const TO_DEAD_LETTERS = -1;

/** The smallest of RocketMQ's delay levels that is not shorter; the longest when there is none. */
export function delayLevelFor(delayMs: number): number {
  const index = DEFAULT_DELAY_SECONDS.findIndex((seconds) => seconds * 1000 >= delayMs);
  return index < 0 ? DEFAULT_DELAY_SECONDS.length : index + 1;
}

/** Gives messages back to the broker: for another delivery later, or as dead letters. */
export class SendBack {
  readonly #context: MemoryClientContext;
  readonly #group: string;
  readonly #maxAttempts: number;

  /** @param group as the broker knows it */
  constructor(context: MemoryClientContext, group: string, maxAttempts: number) {
    this.#context = context;
    this.#group = group;
    this.#maxAttempts = maxAttempts;
  }

  /** Whether a failure of this delivery is one too many. */
  isLastAttempt(message: ReceivedMessage): boolean {
    return message.attempt >= this.#maxAttempts;
  }

  /**
   * @param reason of a dead letter
   * @returns whether it went to the dead letters
   * @throws RocketMQError when the broker did not take it
   */
  async send({ message, stored }: HeldMessage, delayLevel: number, reason?: string): Promise<boolean> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    // Local retries count too.
    const counted = { ...stored, reconsumeTimes: message.attempt - 1 };
    const maxReconsumeTimes = this.#maxAttempts - 1;
    const { dead } = await connection.request(
      {
        kind: 'send-back',
        group: this.#group,
        topic: stored.topic,
        queueId: stored.queueId,
        messageIds: [message.messageId],
      },
      () =>
        broker.sendBack({
          group: this.#group,
          message: counted,
          delayLevel,
          maxReconsumeTimes,
          reason: reason === undefined ? undefined : storableReason(reason),
        }),
      { timeoutMs: requestTimeoutMs },
    );
    return dead;
  }
}
