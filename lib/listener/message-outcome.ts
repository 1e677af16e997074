import { ACK, type ConsumeResult } from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import type { MessageEvent, RocketMQEvents } from '../observability/rocketmq-events.js';
import { describeFailure, failureAction, type FailureKind, failureKind } from './failure-policy.js';
import { DEFAULT_MAX_ATTEMPTS } from './listener-options.js';
import type { ListenerSettings } from './listener-settings.js';
import { RejectMessage } from './reject-message.js';
import { RetryLater } from './retry-later.js';
import type { RocketMQContext } from './rocketmq-context.js';

/** What is to become of one message, before attempts are counted. */
export type Outcome =
  | typeof HANDLED
  | { readonly action: 'dropped'; readonly reason: string; readonly error?: unknown }
  | { readonly action: 'reject'; readonly reason: string; readonly error?: unknown }
  | { readonly action: 'retry'; readonly delayMs: number | undefined; readonly error: unknown };

export const HANDLED = { action: 'handled' } as const;

/** From what a handler threw, or failed in before it was called. */
export function outcomeOfError(
  error: unknown,
  settings: ListenerSettings,
  attempt: number,
  where: { readonly undecodable?: boolean; readonly reachedParameters?: boolean } = {},
): Outcome {
  if (error instanceof RetryLater) {
    return { action: 'retry', delayMs: error.delayMs ?? scheduledDelay(settings, attempt, error), error };
  }
  if (error instanceof RejectMessage) return { action: 'reject', reason: error.reason, error };
  const kind = where.undecodable ? 'undecodable' : failureKind(error, where.reachedParameters ?? true);
  const action = failureAction(kind, settings.policies);
  if (action === 'retry' && !isHopeless(kind, settings, attempt)) {
    return { action, delayMs: scheduledDelay(settings, attempt, error), error };
  }
  const reason = `${REASONS[kind]}: ${describeFailure(error)}`;
  return { action: action === 'ack' ? 'dropped' : 'reject', reason, error };
}

/** An ordered listener may try without end; what trying seldom helps must not hold its queue for ever. */
function isHopeless(kind: FailureKind, { identity }: ListenerSettings, attempt: number): boolean {
  return kind !== 'handler' && identity.maxAttempts === Infinity && attempt >= DEFAULT_MAX_ATTEMPTS;
}

const REASONS = {
  guardDenied: 'denied by a guard',
  validation: 'invalid payload',
  undecodable: 'undecodable body',
  handler: 'handler failed',
} as const;

/** Milliseconds by the listener's schedule. A schedule that throws must not turn a retry into something else. */
export function scheduledDelay(
  settings: ListenerSettings,
  attempt: number,
  error: unknown,
): number | undefined {
  try {
    return settings.retryDelay(attempt, error);
  } catch {
    return undefined;
  }
}

/** From a `ConsumeResult` that a handler or filter returned. */
export function outcomeOfResult(result: ConsumeResult, settings: ListenerSettings, attempt: number): Outcome {
  if (result.action === 'ack') return HANDLED;
  if (result.action === 'dead-letter') {
    return { action: 'reject', reason: result.reason ?? 'rejected by the handler' };
  }
  const error = new RetryLater(result.delayMs);
  return { action: 'retry', delayMs: result.delayMs ?? scheduledDelay(settings, attempt, error), error };
}

/** Counts attempts, tells everybody, and says it to the engine. */
export class OutcomeReporter {
  constructor(
    private readonly settings: ListenerSettings,
    private readonly events: RocketMQEvents,
    private readonly onHookError: (error: unknown, event: MessageEvent) => void,
  ) {}

  received(message: ReceivedMessage, now: number): void {
    if (!this.events.has('message.received')) return;
    this.events.emit('message.received', {
      ...this.eventOf(message),
      lagMs: Math.max(0, now - message.storeTimestamp),
    });
  }

  timeout(message: ReceivedMessage): void {
    this.events.emit('message.timeout', {
      ...this.eventOf(message),
      timeoutMs: this.settings.timeoutMs,
    });
  }

  handled(message: ReceivedMessage, durationMs: number): ConsumeResult {
    if (this.events.has('message.handled')) {
      this.events.emit('message.handled', { ...this.eventOf(message), durationMs });
    }
    return ACK;
  }

  /** For everything but success. Never rejects. @param durationMs how long the handler ran */
  async failed(
    outcome: Exclude<Outcome, typeof HANDLED>,
    message: ReceivedMessage,
    context: RocketMQContext,
    instance: object | undefined,
    durationMs: number,
  ): Promise<ConsumeResult> {
    const event = { ...this.eventOf(message), durationMs };
    const { broadcasting, identity } = this.settings;
    const { error } = outcome;
    if (outcome.action === 'retry' && message.attempt < identity.maxAttempts) {
      const { delayMs } = outcome;
      context.observation?.failed(message, 'retried', error);
      this.events.emit('message.retried', { ...event, error, delayMs });
      return { action: 'retry', delayMs };
    }
    const reason =
      outcome.action === 'retry'
        ? `failed ${message.attempt} times: ${describeFailure(error)}`
        : outcome.reason;
    if (outcome.action === 'retry') await this.callHook(error, event, context, instance);
    if (broadcasting || outcome.action === 'dropped') {
      context.observation?.failed(message, 'dropped', error ?? reason);
      this.events.emit('message.dropped', { ...event, reason, error });
      return ACK;
    }
    if (outcome.action === 'retry') {
      context.observation?.failed(message, 'exhausted', error);
      this.events.emit('message.exhausted', { ...event, error });
    } else {
      context.observation?.failed(message, 'rejected', error ?? reason);
      this.events.emit('message.rejected', { ...event, reason, error });
    }
    return { action: 'dead-letter', reason };
  }

  /** `onExhausted`; what it throws changes nothing. */
  private async callHook(
    error: unknown,
    event: MessageEvent,
    context: RocketMQContext,
    instance: object | undefined,
  ): Promise<void> {
    try {
      await this.settings.onExhausted?.(instance ?? {}, error, context);
    } catch (hookError) {
      this.onHookError(hookError, event);
    }
  }

  private eventOf(message: ReceivedMessage): MessageEvent {
    const { connection, listener, group } = this.settings.identity;
    return {
      connection,
      listener,
      group,
      topic: message.topic,
      tag: message.tag,
      messageId: message.messageId,
      attempt: message.attempt,
    };
  }
}
