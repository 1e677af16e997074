import type { ConsumerBroker, UnreadableMessage } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import { BY_SCHEDULE, TO_DEAD_LETTERS } from './delay-level.js';
import type { ProcessQueue } from './process-queue.js';

export interface UndecodableOptions {
  readonly broadcasting: boolean;
  /** Waiting for another delivery would stop the queue for ever. */
  readonly orderly: boolean;
  readonly maxReconsumeTimes: number;
}

/**
 * Messages no handler can be shown: broken bytes, or a compression without the package for it. They are sent back
 * by their position like messages that failed, so that nothing is lost: another member may be able to read them, and
 * in the end they lie in the dead letters.
 */
export class UndecodableMessages {
  readonly #broker: Pick<ConsumerBroker, 'sendBack'>;
  readonly #reports: ConsumerReports;
  readonly #options: UndecodableOptions;

  constructor(
    broker: Pick<ConsumerBroker, 'sendBack'>,
    reports: ConsumerReports,
    options: UndecodableOptions,
  ) {
    this.#broker = broker;
    this.#reports = reports;
    this.#options = options;
  }

  /**
   * Resolves when the message may be stepped over.
   * @throws RocketMQError when the broker did not take it
   */
  async putAside(
    { queue, key }: ProcessQueue,
    { error, queueOffset, commitLogOffset }: UnreadableMessage,
  ): Promise<void> {
    this.#reports.error(`reading a message of ${key}`, error);
    const { broadcasting, orderly, maxReconsumeTimes } = this.#options;
    if (broadcasting || commitLogOffset < 0) return;
    await this.#broker.sendBack(
      queue.brokerName,
      { topic: queue.topic, queueId: queue.queueId, queueOffset, commitLogOffset, offsetMessageId: '' },
      { delayLevel: orderly ? TO_DEAD_LETTERS : BY_SCHEDULE, maxReconsumeTimes },
    );
  }
}
