import type { ReceivedMessage } from '../../../message/message.js';
import type { Clock } from '../../clock.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { PushConsumerSettings } from './consumer-settings.js';
import type { ProcessQueue } from './process-queue.js';
import type { SendBack } from './send-back.js';

/** Takes messages from process queues to the handler, and deals with the results. */
export interface Consumption {
  /** Handler calls under way. */
  readonly inFlight: number;
  /** The queue has messages, or may be handled again. */
  submit(processQueue: ProcessQueue): void;
  /** Begins no more calls of the queue, and drops it when nothing of it is being handled any more. */
  revoke(processQueue: ProcessQueue): Promise<void>;
  /** Drops the queue and gives up what runs. */
  abandon(processQueue: ProcessQueue): void;
  /**
   * Begins no more calls, and waits until those under way have ended.
   * @returns how many messages were given up when the time was over
   */
  drain(timeoutMs: number): Promise<number>;
}

/** What both ways of consumption are told by the consumer. */
export interface ConsumptionContext {
  readonly settings: PushConsumerSettings;
  readonly clock: Clock;
  readonly reports: ConsumerReports;
  readonly sendBack: SendBack;
  /** Whether handler calls for the message are wanted now. */
  readonly accept: (message: ReceivedMessage) => boolean;
  /** Something was finished: pulls held back may have room. */
  readonly onRoom: () => void;
}
