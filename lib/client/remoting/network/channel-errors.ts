import { RocketMQError } from '../../../message/rocketmq-error.js';
import { requestCodeName } from '../protocol/request-code.js';

export function connectionFailed(address: string, why: string, cause?: unknown): RocketMQError {
  return new RocketMQError(
    'CONNECTION_FAILED',
    `No connection to ${address}: ${why}. Check address, firewall and whether the server runs; then try again.`,
    { retryable: true, cause },
  );
}

export function connectionLost(address: string, why: string, cause?: unknown): RocketMQError {
  return new RocketMQError(
    'CONNECTION_FAILED',
    `The connection to ${address} was lost: ${why}. Whether requests under way took effect is unknown; try again.`,
    { retryable: true, cause },
  );
}

export function timedOut(
  address: string,
  code: number,
  timeoutMs: number,
  connected: boolean,
): RocketMQError {
  const why = connected ? 'No answer' : 'No connection and no answer';
  return new RocketMQError(
    'TIMEOUT',
    `${why} to ${requestCodeName(code)} from ${address} within ${Math.round(timeoutMs)} ms. Whether it took effect is unknown; try again, or allow more time.`,
    { retryable: true },
  );
}

export function aborted(address: string, code: number, cause: unknown): RocketMQError {
  return new RocketMQError(
    'ABORTED',
    `${requestCodeName(code)} to ${address} was aborted by its caller. Whether it took effect is unknown.`,
    { cause },
  );
}

export function closedError(address: string): RocketMQError {
  return new RocketMQError(
    'CLOSED',
    `The connections of this client are closed, so nothing goes to ${address}. Create a new client.`,
  );
}

export function protocolViolation(address: string, cause: RocketMQError): RocketMQError {
  return new RocketMQError(
    'PROTOCOL_VIOLATION',
    `${address} sent something else than the RocketMQ protocol, the connection was closed. ${cause.message}`,
    { retryable: true, cause },
  );
}
