import type { InjectionToken } from '@nestjs/common';
import {
  addListenerMetadata,
  describePositionalParameters,
  ON_TAG_METADATA,
  type OptionsSource,
} from './listener-metadata.js';
import type { BatchListenerOptions, DeadLetterListenerOptions, ListenerOptions } from './listener-options.js';
import type { RocketMQContext } from './rocketmq-context.js';

/** Shape of a class with `@RocketMQListener` on it. */
export interface RocketMQHandler<T = unknown> {
  /** Returning acknowledges; see {@link RocketMQListener}. */
  handle(payload: T, context: RocketMQContext): unknown;
}

/**
 * Makes a method of any provider or controller (or a class with a `handle` method or `@OnTag` methods) receive the
 * messages of a topic.
 *
 * Returning acknowledges the message, whatever is returned, except a `ConsumeResult` (`ACK`, `RETRY`, …), which
 * decides. `RetryLater` and `RejectMessage` decide as well; any other error means retry.
 *
 * Options may come from a function of injected services:
 * `@RocketMQListener((config: ConfigService) => ({ topic: config.getOrThrow('TOPIC'), group: 'inventory' }), [ConfigService])`
 */
export function RocketMQListener(
  options: OptionsSource<ListenerOptions>,
  inject: readonly InjectionToken[] = [],
): MethodDecorator & ClassDecorator {
  return addListenerMetadata({ kind: 'single', options, inject });
}

/**
 * Like {@link RocketMQListener}, for several messages of one queue in one call. The payload is an array.
 *
 * Returning an array gives one result per message: undefined acknowledges, a `ConsumeResult` decides, an error
 * (`RetryLater`, `RejectMessage`, any other) does what throwing it would do. Returning anything else acknowledges
 * all; throwing is meant for all.
 */
export function RocketMQBatchListener(
  options: OptionsSource<BatchListenerOptions>,
  inject: readonly InjectionToken[] = [],
): MethodDecorator & ClassDecorator {
  return addListenerMetadata({ kind: 'batch', options, inject });
}

/**
 * Like {@link RocketMQListener}, and what the handler returns is the reply to a message sent with
 * `RocketMQTemplate.request`, written by the listener's serializer (nothing becomes `null`). Who sent without asking
 * gets none. A handler that fails replies nothing: the message comes again, and whoever asks may have stopped waiting.
 */
export function RocketMQReplyListener(
  options: OptionsSource<ListenerOptions>,
  inject: readonly InjectionToken[] = [],
): MethodDecorator & ClassDecorator {
  return addListenerMetadata({ kind: 'reply', options, inject });
}

/** Receives the dead letters (`%DLQ%group`) of a consumer group, in a group of its own. */
export function DeadLetterListener(
  options: OptionsSource<DeadLetterListenerOptions>,
  inject: readonly InjectionToken[] = [],
): MethodDecorator & ClassDecorator {
  return addListenerMetadata({ kind: 'dead-letter', options, inject });
}

/**
 * In a class with `@RocketMQListener`: this method gets the messages that carry one of the tags. `handle`, when
 * there is one, gets the rest; otherwise only the tags named are subscribed.
 */
export function OnTag(...tags: [string, ...string[]]): MethodDecorator {
  return (target, key, descriptor) => {
    describePositionalParameters(target, key);
    Reflect.defineMetadata(ON_TAG_METADATA, tags, (descriptor as PropertyDescriptor).value as object);
  };
}
