import type { SendReceipt } from '../client/send.js';
import type { Message, MessageHeaders, ReceivedMessage } from '../message/message.js';

/** One call of a producer. */
export interface SendOperation {
  readonly connection: string;
  /** `half`: the first part of a transactional message. */
  readonly kind: 'single' | 'batch' | 'one-way' | 'half';
  /** At least one, all of one topic. */
  readonly messages: readonly Message[];
}

/** What came of a send: the value of the call, and what the broker said about each message. */
export interface Sent<T> {
  readonly value: T;
  /** Empty for one-way sends. */
  readonly receipts: readonly SendReceipt[];
}

/** A message that is written to the outbox, to be sent later. */
export type CreateOperation = Pick<Message, 'topic' | 'tag' | 'keys' | 'orderingKey' | 'headers'> & {
  readonly messageId: string;
};

/** One call of a listener's handler. */
export interface HandleOperation {
  readonly connection: string;
  readonly listener: string;
  readonly group: string;
  readonly broadcasting: boolean;
  /** A batch listener; it may have got a single message all the same. */
  readonly batch: boolean;
  readonly messages: readonly ReceivedMessage[];
}

/** What became of a message that was not simply handled; as the events of the same names. */
export type HandleFailure = 'retried' | 'rejected' | 'exhausted' | 'dropped';

/** Watches one call of a handler. */
export interface HandleObservation {
  /** Runs guards, interceptors, pipes and handler; whatever they await stays in the observation's async context. */
  run<T>(work: () => T): T;
  /** A message of the call failed. Called before `end`. */
  failed(message: ReceivedMessage, failure: HandleFailure, error: unknown): void;
  /** The messages are answered. */
  end(): void;
}

/**
 * Stands around every send and every handler call, which events cannot: tracing needs to add headers and to run code
 * in its own async context. Nothing of it may throw. While nobody asks for it, it costs one comparison per message.
 */
export interface RocketMQInstrumentation {
  /** Sends by calling `next` once, with the messages given or copies that have more headers. Rejects as `next` does. */
  send<T>(operation: SendOperation, next: (messages: readonly Message[]) => Promise<Sent<T>>): Promise<T>;
  /** Headers for a message of the outbox: what its send, later and elsewhere, needs to know of the caller. */
  create(operation: CreateOperation): MessageHeaders | undefined;
  handle(operation: HandleOperation): HandleObservation;
}
