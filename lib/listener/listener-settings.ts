import { replyAddressOf } from '../client/pending-replies.js';
import type { Reply } from '../client/producer.js';
import type { ReceivedMessage } from '../message/message.js';
import type { MessageSerializer } from '../message/message-serializer.js';
import { toMilliseconds, type Duration } from '../message/duration.js';
import type { FailurePolicies } from './failure-policy.js';
import type { ListenerDefinition } from './listener-definition.js';
import { DEFAULT_HANDLER_TIMEOUT, type ExhaustedHook, type RetrySchedule } from './listener-options.js';
import type { ConsumerPlan } from './consumer-plan.js';
import type { ListenerIdentity, RocketMQContext } from './rocketmq-context.js';

/** Everything about a listener that handling a message needs, worked out once. */
export interface ListenerSettings {
  readonly identity: ListenerIdentity;
  readonly serializer: MessageSerializer;
  readonly policies: FailurePolicies;
  readonly timeoutMs: number;
  /** A handler past its time keeps the message: order goes first. */
  readonly ordered: boolean;
  /** Failures cannot be delivered again. */
  readonly broadcasting: boolean;
  /** Milliseconds until the next delivery; undefined leaves it to the broker. */
  readonly retryDelay: (attempt: number, error: unknown) => number | undefined;
  /** Answers a request with what its handler returned; of a listener that replies. */
  readonly reply: ((request: ReceivedMessage, value: unknown) => Promise<void>) | undefined;
  /** `instance` is the one the handler ran on. */
  readonly onExhausted: ((instance: object, error: unknown, context: RocketMQContext) => unknown) | undefined;
}

export interface ListenerDefaults {
  readonly serializer: MessageSerializer;
  readonly policies: FailurePolicies;
  /** Sends a reply over the listener's connection. */
  readonly reply?: (request: ReceivedMessage, reply: Reply) => Promise<void>;
}

export function listenerSettings(
  definition: ListenerDefinition,
  plan: ConsumerPlan,
  defaults: ListenerDefaults,
): ListenerSettings {
  const { options } = definition;
  return {
    identity: {
      listener: definition.id,
      group: plan.group,
      connection: plan.connection,
      batch: definition.batch,
      maxAttempts: plan.maxAttempts,
    },
    serializer: options.serializer ?? defaults.serializer,
    policies: { ...defaults.policies, ...options.failures },
    timeoutMs: toMilliseconds(options.timeout ?? DEFAULT_HANDLER_TIMEOUT),
    ordered: plan.consumer.mode === 'orderly',
    broadcasting: plan.consumer.model === 'broadcasting',
    reply:
      definition.replies === true
        ? replying(options.serializer ?? defaults.serializer, defaults.reply)
        : undefined,
    retryDelay: retryDelay(options.retry),
    onExhausted: exhaustedHook(options.onExhausted),
  };
}

/** Nobody waits for a reply to a message that was sent without asking. */
function replying(
  serializer: MessageSerializer,
  reply: ListenerDefaults['reply'],
): NonNullable<ListenerSettings['reply']> {
  return async (request, value) => {
    if (replyAddressOf(request) === undefined) return;
    await reply?.(request, { body: serializer.serialize(value ?? null) });
  };
}

function retryDelay(schedule: RetrySchedule | undefined): ListenerSettings['retryDelay'] {
  if (schedule === undefined) return () => undefined;
  if (typeof schedule === 'function') {
    return (attempt, error) => {
      const delay = schedule(attempt, error);
      return delay === undefined ? undefined : toMilliseconds(delay);
    };
  }
  const list = (Array.isArray(schedule) ? (schedule as readonly Duration[]) : [schedule as Duration]).map(
    toMilliseconds,
  );
  return (attempt) => list[Math.min(attempt, list.length) - 1];
}

function exhaustedHook(onExhausted: string | ExhaustedHook | undefined): ListenerSettings['onExhausted'] {
  if (onExhausted === undefined) return undefined;
  if (typeof onExhausted === 'function') return (_instance, error, context) => onExhausted(error, context);
  return (instance, error, context) =>
    (instance as Record<string, ExhaustedHook>)[onExhausted]?.call(instance, error, context);
}
