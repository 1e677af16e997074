import { RocketMQError, type RocketMQErrorCode } from '../message/rocketmq-error.js';

/** A broker or name server answered, and the answer was an error. */
export class BrokerError extends RocketMQError {
  /** The response code on the wire. Names: `client/remoting/protocol/response-code.ts`. */
  readonly responseCode: number;
  /** Who answered, `host:port`. */
  readonly address: string;

  constructor(
    code: RocketMQErrorCode,
    message: string,
    details: { responseCode: number; address: string; retryable?: boolean; cause?: unknown },
  ) {
    super(code, message, { retryable: details.retryable ?? false, cause: details.cause });
    this.responseCode = details.responseCode;
    this.address = details.address;
  }
}
