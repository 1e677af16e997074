import type { ReceivedMessage } from '../../message/message.js';
import type { ProcessQueue } from './process-queue.js';

/** Takes messages from process queues to the handler and deals with its results. */
export interface ConsumeMessageService {
  /** Handler calls under way. */
  readonly inFlight: number;
  /** The queue has messages, or may be handled (again). */
  submit(processQueue: ProcessQueue): void;
  /**
   * Drops the queue once nothing of it is being handled any more, and begins no further call of it meanwhile.
   * With concurrent consumption that is at once: what runs is given up.
   */
  revoke(processQueue: ProcessQueue): Promise<void>;
  /** The queue was dropped: gives up what runs. */
  abandon(processQueue: ProcessQueue): void;
  /**
   * Begins no further calls, waits until those under way have ended and their results are dealt with.
   * @returns how many messages were given up at the end of the time
   */
  drain(timeoutMs: number): Promise<number>;
}

/** What both ways of consumption are told by the consumer. */
export interface ConsumeServiceOptions {
  readonly group: string;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly consumeTimeoutMs: number;
  readonly broadcasting: boolean;
  /** Whether handler calls for the message are wanted now. */
  readonly accept: (message: ReceivedMessage) => boolean;
  /** Something was finished: pulls held back may have room. */
  readonly onRoom: () => void;
}
