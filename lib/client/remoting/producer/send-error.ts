import { BrokerError } from '../../broker-error.js';
import type { RocketMQErrorCode } from '../../../message/rocketmq-error.js';
import type { RemotingCommand } from '../protocol/remoting-command.js';
import { responseError } from '../protocol/response-error.js';
import { ResponseCode, responseCodeName } from '../protocol/response-code.js';

interface Diagnosis {
  readonly code: RocketMQErrorCode;
  readonly retryable: boolean;
  /** What to do next. */
  readonly advice: string;
}

/** The error for a broker that did not store what was sent. */
export function sendError(
  response: Pick<RemotingCommand, 'code' | 'remark'>,
  address: string,
  topic: string,
): BrokerError {
  const remark = (response.remark ?? '').trim();
  const diagnosis = diagnose(response.code, remark, topic);
  if (!diagnosis) return responseError(`Sending to "${topic}"`, response, address);
  const said = remark === '' ? '' : `: ${firstLine(remark)}`;
  return new BrokerError(
    diagnosis.code,
    `Sending to "${topic}" failed: ${address} answered ${responseCodeName(response.code)} (${response.code})${said}. ${diagnosis.advice}`,
    { responseCode: response.code, address, retryable: diagnosis.retryable },
  );
}

function diagnose(responseCode: number, remark: string, topic: string): Diagnosis | undefined {
  switch (responseCode) {
    case ResponseCode.SYSTEM_BUSY:
    case ResponseCode.SERVICE_NOT_AVAILABLE:
      return {
        code: 'BROKER_BUSY',
        retryable: true,
        advice:
          'Send more slowly or again later; if it lasts, look at disk space, page cache and waitTimeMillsInSendQueue of the broker.',
      };
    case ResponseCode.MESSAGE_ILLEGAL:
      if (/timer|delay/i.test(remark)) {
        return {
          code: 'INVALID_ARGUMENT',
          retryable: false,
          advice: 'Choose an earlier delivery time, or raise timerMaxDelaySec of the broker.',
        };
      }
      return {
        code: /length|size|limit/i.test(remark) ? 'MESSAGE_TOO_LARGE' : 'BROKER_REJECTED',
        retryable: false,
        advice:
          'Compare body, properties and topic name with the limits of the broker (maxMessageSize in broker.conf).',
      };
    case ResponseCode.TOPIC_NOT_EXIST:
      return {
        code: 'TOPIC_NOT_FOUND',
        retryable: false,
        advice: `Create the topic "${topic}" (admin.createTopic), or set autoCreateTopicEnable=true on a development broker.`,
      };
    case ResponseCode.SYSTEM_ERROR:
      // HookUtils answers this way when timerWheelEnable is off; trying again is in vain.
      if (!/timer message is not enabled/i.test(remark)) return undefined;
      return {
        code: 'UNSUPPORTED',
        retryable: false,
        advice: 'Set timerWheelEnable=true at the broker, or use one of its 18 delay levels.',
      };
    case ResponseCode.NO_PERMISSION:
      return forbidden(remark, topic);
    default:
      return undefined;
  }
}

/** NO_PERMISSION is both: a topic or broker that takes no messages, and missing rights of this user. */
function forbidden(remark: string, topic: string): Diagnosis {
  if (/forbidden/i.test(remark)) {
    return {
      code: 'NO_WRITABLE_QUEUE',
      retryable: false,
      advice: `Check the permission of the topic "${topic}" (6 = read and write) and brokerPermission of the broker.`,
    };
  }
  return {
    code: 'UNAUTHORIZED',
    retryable: false,
    advice: 'Check the credentials of this client and what the broker allows them (ACL).',
  };
}

/** Codes after which another broker may accept the same message. Source: DefaultMQProducer.retryResponseCodes. */
const RETRY_ELSEWHERE: ReadonlySet<number> = new Set<number>([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
  ResponseCode.GO_AWAY,
]);

/** Whether another broker may accept what this one refused. */
export function isRetriedElsewhere(responseCode: number): boolean {
  return RETRY_ELSEWHERE.has(responseCode);
}

/** Brokers may answer with a stack trace; the first line says it. */
function firstLine(remark: string): string {
  const line = remark.split(/[\r\n]/, 1)[0] ?? '';
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
