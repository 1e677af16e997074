/**
 * What went wrong, as a stable string a program can switch on.
 *
 * The list is closed on purpose: a new cause gets a new code here, with a line that says when it appears.
 */
export type RocketMQErrorCode =
  /** Options, decorators or environment are wrong. Found at boot wherever possible. */
  | 'INVALID_CONFIGURATION'
  /** An argument of a call is wrong: topic name, tag, key, property, empty body. */
  | 'INVALID_ARGUMENT'
  /** Body or properties are larger than the limit. */
  | 'MESSAGE_TOO_LARGE'
  /** A payload could not be turned into bytes. */
  | 'SERIALIZATION_FAILED'
  /** A body could not be turned into a payload. */
  | 'DESERIALIZATION_FAILED'
  /** The engine in use cannot do what was asked. */
  | 'UNSUPPORTED'
  /** No route: the topic does not exist at the name server (and cannot be created automatically). */
  | 'TOPIC_NOT_FOUND'
  /** The topic exists, but no queue of it accepts messages. */
  | 'NO_WRITABLE_QUEUE'
  /** The consumer group does not exist and the broker does not create it. */
  | 'GROUP_NOT_FOUND'
  /** No TCP connection, or it was lost while a request was under way. */
  | 'CONNECTION_FAILED'
  /** No answer before the deadline. Whether the broker acted is unknown. */
  | 'TIMEOUT'
  /** The broker refuses for now: flow control, system busy, page cache busy. */
  | 'BROKER_BUSY'
  /** The broker answered with an error code; see {@link BrokerError.responseCode}. */
  | 'BROKER_REJECTED'
  /** The broker stored the message but a durability guarantee was missed (flush or slave). */
  | 'NOT_FULLY_STORED'
  /** Missing or refused credentials. */
  | 'UNAUTHORIZED'
  /** Bytes on the wire or in a stored message do not follow the protocol. */
  | 'PROTOCOL_VIOLATION'
  /** Too much is in flight; the configured limit was reached. */
  | 'TOO_MANY_IN_FLIGHT'
  /** The client, producer or consumer was closed. */
  | 'CLOSED'
  /** The caller aborted through its AbortSignal. */
  | 'ABORTED'
  /** `outbox.send` (or a handler with `@Tx`) outside a database transaction. */
  | 'NO_TRANSACTION'
  /** Tables are missing, of another version, or configured differently from this application. */
  | 'SCHEMA_MISMATCH'
  /** A local transaction was overtaken by a rollback answer to the broker's check. */
  | 'TRANSACTION_ROLLED_BACK'
  /** The database refused or was not reachable. */
  | 'DATABASE_FAILED';

/** What else is known about an error. */
export interface RocketMQErrorOptions {
  /** Whether the same call may succeed later without a change. @default false */
  readonly retryable?: boolean;
  /** The error underneath. */
  readonly cause?: unknown;
}

const KIND = Symbol.for('nestjs-rocketmq.error');

/**
 * Base of every error this library throws.
 *
 * `instanceof` works across copies of the package (ESM beside CommonJS): it looks at a registered symbol.
 * The message always ends with what to do next.
 */
export class RocketMQError extends Error {
  readonly code: RocketMQErrorCode;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;

  constructor(code: RocketMQErrorCode, message: string, options: RocketMQErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    Object.defineProperty(this, KIND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== RocketMQError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && KIND in value;
  }
}
