import type { UndecodableMessage } from '../protocol/stored-message.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { ConsumerRequests } from './consumer-requests.js';
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
  readonly #requests: ConsumerRequests;
  readonly #reports: ConsumerReports;
  readonly #options: UndecodableOptions;

  constructor(requests: ConsumerRequests, reports: ConsumerReports, options: UndecodableOptions) {
    this.#requests = requests;
    this.#reports = reports;
    this.#options = options;
  }

  /**
   * Resolves when the message may be stepped over.
   * @throws RocketMQError when the broker did not take it
   */
  async putAside({ queue, key }: ProcessQueue, message: UndecodableMessage): Promise<void> {
    this.#reports.error(`reading a message of ${key}`, message.error);
    const { broadcasting, orderly, maxReconsumeTimes } = this.#options;
    if (broadcasting || message.commitLogOffset < 0) return;
    await this.#requests.sendBack(
      queue.brokerName,
      { topic: queue.topic, commitLogOffset: message.commitLogOffset, offsetMessageId: '' },
      { delayLevel: orderly ? TO_DEAD_LETTERS : BY_SCHEDULE, maxReconsumeTimes },
    );
  }
}
