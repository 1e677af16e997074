import type { RocketMQErrorCode } from '../../message/rocketmq-error.js';
import { BrokerError } from '../broker-error.js';
import { LOCAL_HOST } from './stored-message.js';

/** Response codes a real broker uses for the same refusals. Source: ResponseCode. */
export const Answer = {
  SYSTEM_ERROR: 1,
  SYSTEM_BUSY: 2,
  MESSAGE_ILLEGAL: 13,
  TOPIC_NOT_EXIST: 17,
  SUBSCRIPTION_PARSE_FAILED: 23,
  ILLEGAL_OPERATION: 604,
} as const;

/** The broker answered, and the answer was no. */
export function refusal(
  code: RocketMQErrorCode,
  responseCode: number,
  message: string,
  retryable = false,
): BrokerError {
  return new BrokerError(code, message, { responseCode, address: LOCAL_HOST, retryable });
}

export function topicNotFound(topic: string): BrokerError {
  return refusal(
    'TOPIC_NOT_FOUND',
    Answer.TOPIC_NOT_EXIST,
    `Topic "${topic}" does not exist at the in-process broker. Create it with admin.createTopic, or correct its name.`,
  );
}
