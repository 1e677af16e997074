import { RocketMQError, type RocketMQErrorCode } from '../message/rocketmq-error.js';

/**
 * What a failed send says.
 *
 * - `away`: about the broker or the way to it. Every message of the topic would fare the same: the topic pauses,
 *   rows are not touched.
 * - `refused`: about this message, and it may be accepted later (the topic may be created, a limit raised).
 * - `impossible`: about this message, for good.
 */
export type SendFailure = 'away' | 'refused' | 'impossible';

const KINDS: Partial<Readonly<Record<RocketMQErrorCode, SendFailure>>> = {
  CONNECTION_FAILED: 'away',
  TIMEOUT: 'away',
  BROKER_BUSY: 'away',
  NO_WRITABLE_QUEUE: 'away',
  UNAUTHORIZED: 'away',
  TOO_MANY_IN_FLIGHT: 'away',
  CLOSED: 'away',
  ABORTED: 'away',
  NOT_FULLY_STORED: 'away',
  TOPIC_NOT_FOUND: 'refused',
  INVALID_ARGUMENT: 'impossible',
  MESSAGE_TOO_LARGE: 'impossible',
  UNSUPPORTED: 'impossible',
};

export function classifySendFailure(error: unknown): SendFailure {
  if (!(error instanceof RocketMQError)) return 'refused';
  return KINDS[error.code] ?? (error.retryable ? 'away' : 'refused');
}
