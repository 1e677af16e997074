import type { RocketMQErrorCode } from '../../../message/rocketmq-error.js';
import { BrokerError } from '../../broker-error.js';
import type { RemotingCommand } from './remoting-command.js';
import { ResponseCode, responseCodeName } from './response-code.js';

interface Meaning {
  readonly code: RocketMQErrorCode;
  readonly retryable: boolean;
  readonly next: string;
}

const UNKNOWN: Meaning = {
  code: 'BROKER_REJECTED',
  retryable: false,
  next: "Look at the server's log for the reason.",
};

const BUSY: Meaning = {
  code: 'BROKER_BUSY',
  retryable: true,
  next: 'Send again a little later, or send less.',
};

const RETRYABLE: Meaning = {
  code: 'BROKER_REJECTED',
  retryable: true,
  next: "Try again; if it persists, look at the server's log.",
};

const MEANINGS: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [ResponseCode.SYSTEM_ERROR, RETRYABLE],
  [ResponseCode.SYSTEM_BUSY, BUSY],
  [ResponseCode.FLOW_CONTROL, BUSY],
  [ResponseCode.POLLING_FULL, BUSY],
  [ResponseCode.SERVICE_NOT_AVAILABLE, RETRYABLE],
  [ResponseCode.GO_AWAY, RETRYABLE],
  [ResponseCode.NOT_LEADER_FOR_QUEUE, RETRYABLE],
  [
    ResponseCode.NO_PERMISSION,
    {
      code: 'UNAUTHORIZED',
      retryable: false,
      next: 'Check the permission of topic and broker, and the credentials.',
    },
  ],
  [
    ResponseCode.TOPIC_NOT_EXIST,
    { code: 'TOPIC_NOT_FOUND', retryable: false, next: 'Create the topic, or correct its name.' },
  ],
  [
    ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
    { code: 'GROUP_NOT_FOUND', retryable: false, next: 'Create the consumer group at the broker.' },
  ],
  [
    ResponseCode.MESSAGE_ILLEGAL,
    {
      code: 'BROKER_REJECTED',
      retryable: false,
      next: "Compare size and properties of the message with the broker's limits.",
    },
  ],
  [
    ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    { code: 'UNSUPPORTED', retryable: false, next: 'Use a server version that knows the request.' },
  ],
]);

/**
 * The error for an answer whose code is not the one hoped for.
 *
 * @param what what was asked, to begin the sentence with: `Reading the route of "orders"`
 */
export function responseError(
  what: string,
  response: Pick<RemotingCommand, 'code' | 'remark'>,
  address: string,
): BrokerError {
  const { code, retryable, next } = MEANINGS.get(response.code) ?? UNKNOWN;
  const remark = oneLine(response.remark);
  return new BrokerError(
    code,
    `${what} failed: ${address} answered ${responseCodeName(response.code)} (${response.code})${remark}. ${next}`,
    { responseCode: response.code, address, retryable },
  );
}

/** The server's words as the middle of a sentence; some of them have several lines. */
function oneLine(remark: string | undefined): string {
  const words = remark
    ?.replaceAll(/\s+/g, ' ')
    .replace(/[. ]+$/, '')
    .trim();
  return words === undefined || words === '' ? '' : `: ${words}`;
}
