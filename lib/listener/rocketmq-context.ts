import { RocketMQError } from '../message/rocketmq-error.js';
import type { EntityManager } from 'typeorm';
import type { DeliveryContext } from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import type { HandleObservation } from '../observability/instrumentation.js';
import type { Duration } from '../message/duration.js';
import { RejectMessage } from './reject-message.js';
import { RetryLater } from './retry-later.js';

/** Type of the execution context in guards, interceptors and filters: `context.getType() === 'rocketmq'`. */
export const ROCKETMQ_CONTEXT_TYPE = 'rocketmq';

/** What is the same for every message of one listener. */
export interface ListenerIdentity {
  readonly listener: string;
  readonly group: string;
  readonly connection: string;
  /** @default false */
  readonly batch?: boolean;
  /** Infinity where there is no limit. */
  readonly maxAttempts: number;
}

/**
 * One delivery, as handlers see it through `@Ctx()`, and guards, interceptors and filters through
 * `context.switchToRpc().getContext<RocketMQContext>()`.
 */
export class RocketMQContext {
  private manager: EntityManager | undefined;
  private controller: AbortController | undefined;
  private timedOut = false;
  /** Set once parameters are being resolved: guards are behind. @internal */
  reachedParameters = false;
  /** What the exception filters are about to see. @internal */
  failure: unknown;
  /** It was handled before, and the handler did not run again. @internal */
  duplicate = false;
  /** Of the call this is the context of. @internal */
  observation: HandleObservation | undefined;

  /** For tests; the library makes its own. */
  constructor(
    /** Batch listeners: every message of this call. Others: the one message. */
    readonly messages: readonly ReceivedMessage[],
    private readonly identity: ListenerIdentity,
    private readonly delivery: DeliveryContext,
  ) {}

  /** The message; of a batch, the first. */
  get message(): ReceivedMessage {
    return this.messages[0] as ReceivedMessage;
  }

  /** Whether this is a batch listener, whose payload is an array even for one message. */
  get isBatch(): boolean {
    return this.identity.batch ?? false;
  }

  /** Id of the listener. */
  get listener(): string {
    return this.identity.listener;
  }

  /** Consumer group. */
  get group(): string {
    return this.identity.group;
  }

  /** Name of the connection the message came over. */
  get connection(): string {
    return this.identity.connection;
  }

  /** Which delivery this is, from 1. Of a batch: the highest. */
  get attempt(): number {
    if (this.messages.length === 1) return this.message.attempt;
    return this.messages.reduce((highest, { attempt }) => Math.max(highest, attempt), 1);
  }

  /** Whether a failure now makes the message a dead letter. */
  get isLastAttempt(): boolean {
    return this.attempt >= this.identity.maxAttempts;
  }

  /** Aborts when the result no longer matters: timeout, queue lost to another instance, end of the drain. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      const { signal } = this.delivery;
      if (this.timedOut) this.controller.abort(timeoutReason(this.listener));
      else if (signal.aborted) this.controller.abort(signal.reason);
      else {
        const controller = this.controller;
        signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
      }
    }
    return this.controller.signal;
  }

  /** The handler's database transaction opened by `@Idempotent`; see `@Tx()`. */
  get tx(): EntityManager | undefined {
    return this.manager;
  }

  /** For interceptors that open the handler's transaction. Undefined when it has ended. */
  setTransaction(manager: EntityManager | undefined): void {
    this.manager = manager;
  }

  /** Ends the handler: deliver again after the delay. Same as `throw new RetryLater(delay)`. */
  retryLater(delay?: Duration): never {
    throw new RetryLater(delay);
  }

  /** Ends the handler: to the dead-letter topic now. Same as `throw new RejectMessage(reason)`. */
  reject(reason: string): never {
    throw new RejectMessage(reason);
  }

  /** The handler's time is up. @internal */
  abortForTimeout(): void {
    this.timedOut = true;
    this.controller?.abort(timeoutReason(this.listener));
  }
}

function timeoutReason(listener: string): RocketMQError {
  return new RocketMQError(
    'TIMEOUT',
    `The handler of listener "${listener}" ran longer than its timeout. Stop working on the message; raise timeout if it needs so long.`,
  );
}
