import type { PipeTransform } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { ListenerOptions } from './listener-options.js';

/** A provider or controller as Nest's container holds it. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** One method of one provider or controller. */
export interface HandlerTarget {
  readonly wrapper: InstanceWrapper;
  /** Of the class that has the method. */
  readonly prototype: object;
  readonly method: string;
  /** From `@OnTag`; undefined takes what the others leave. */
  readonly tags: readonly string[] | undefined;
  /** Whether it looks at the payload, so that an undecodable body concerns it. */
  readonly usesPayload: boolean;
  /** `@Tx()` is among its parameters. */
  readonly usesTransaction: boolean;
  /** Batch handlers: validates each item. */
  readonly itemPipe: PipeTransform | undefined;
}

/** A listener as the explorer found it: options resolved and overridden, nothing started. */
export interface ListenerDefinition {
  readonly id: string;
  readonly batch: boolean;
  /** `@RocketMQReplyListener`: what the handler returns goes back to the one who asked. */
  readonly replies?: boolean;
  /** Set for `@DeadLetterListener`: the group whose dead letters it reads. */
  readonly deadLettersOf: string | undefined;
  readonly options: ListenerOptions & { readonly batchSize?: number };
  readonly handlers: readonly [HandlerTarget, ...HandlerTarget[]];
}
