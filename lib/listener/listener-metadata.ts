import type { InjectionToken, PipeTransform } from '@nestjs/common';
import type { BatchListenerOptions, DeadLetterListenerOptions, ListenerOptions } from './listener-options.js';

/** Metadata of `@RocketMQListener`, `@RocketMQBatchListener` and `@DeadLetterListener`, on a method or a class. */
export const LISTENER_METADATA = 'nestjs-rocketmq:listener';
/** Metadata of `@OnTag`, on a method. */
export const ON_TAG_METADATA = 'nestjs-rocketmq:on-tag';
/** Where Nest keeps the parameters of a handler; pipes named there are made injectable by Nest's scanner. */
export const PARAMETERS_METADATA = '__routeArguments__';
/** Makes request-scoped global guards, interceptors, filters and pipes work on providers, as on controllers. */
export const ENTRY_PROVIDER_METADATA = '__entryProvider__';

/** Options, or a function of injected services that returns them at boot. */
export type OptionsSource<O> = O | ((...services: never[]) => O | Promise<O>);

export type ListenerMetadata = {
  readonly inject: readonly InjectionToken[];
} & (
  | { readonly kind: 'single' | 'reply'; readonly options: OptionsSource<ListenerOptions> }
  | { readonly kind: 'batch'; readonly options: OptionsSource<BatchListenerOptions> }
  | { readonly kind: 'dead-letter'; readonly options: OptionsSource<DeadLetterListenerOptions> }
);

/** Adds a listener to a method or class; decorators may be stacked. */
export function addListenerMetadata(metadata: ListenerMetadata): MethodDecorator & ClassDecorator {
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => {
    const holder: object = (descriptor?.value as object | undefined) ?? target;
    const known = (Reflect.getOwnMetadata(LISTENER_METADATA, holder) ?? []) as ListenerMetadata[];
    Reflect.defineMetadata(LISTENER_METADATA, [metadata, ...known], holder);
    const prototype = key === undefined ? (target as { readonly prototype: object }).prototype : target;
    describePositionalParameters(prototype, key ?? 'handle');
    if (metadata.kind === 'batch') {
      for (const method of key === undefined ? Object.getOwnPropertyNames(prototype) : [key]) {
        leaveSchemaToDispatch(prototype.constructor, method);
      }
    }
    Reflect.defineMetadata(ENTRY_PROVIDER_METADATA, true, prototype.constructor);
  };
}

/** Parameter kinds; `payload` is Nest's number for a body, which is what validation pipes look at. */
export const ParameterKind = {
  payload: 3,
  context: 101,
  headers: 102,
  key: 103,
  message: 104,
  transaction: 105,
} as const;

export interface ParameterEntry {
  readonly index: number;
  readonly data?: unknown;
  readonly pipes: readonly unknown[];
  /** Validates a payload; batch listeners validate each item of the batch instead of running it as a pipe. */
  readonly schemaPipe?: PipeTransform;
}

/** A handler without parameter decorators gets `(payload, context)`. */
export function describePositionalParameters(prototype: object, key: string | symbol): void {
  const host = prototype.constructor;
  if (Reflect.getMetadata(PARAMETERS_METADATA, host, key) !== undefined) return;
  const entries: Record<string, ParameterEntry> = {
    [`${ParameterKind.payload}:0`]: { index: 0, pipes: [] },
    [`${ParameterKind.context}:1`]: { index: 1, pipes: [] },
  };
  Reflect.defineMetadata(PARAMETERS_METADATA, entries, host, key);
}

function leaveSchemaToDispatch(host: object, key: string | symbol): void {
  const entries = Reflect.getMetadata(PARAMETERS_METADATA, host, key) as
    Record<string, ParameterEntry> | undefined;
  if (entries === undefined) return;
  const rewritten = Object.entries(entries).map(([name, entry]) => [
    name,
    { ...entry, pipes: entry.pipes.filter((pipe) => pipe !== entry.schemaPipe) },
  ]);
  Reflect.defineMetadata(PARAMETERS_METADATA, Object.fromEntries(rewritten), host, key);
}

/** The schema pipe of a batch handler's payload. */
export function itemPipeOf(host: object, key: string): PipeTransform | undefined {
  const entries = (Reflect.getMetadata(PARAMETERS_METADATA, host, key) ?? {}) as Record<
    string,
    ParameterEntry
  >;
  return Object.values(entries).find(({ schemaPipe }) => schemaPipe !== undefined)?.schemaPipe;
}

/** Whether a handler has a parameter of this kind. */
export function hasParameter(host: object, key: string, kind: number): boolean {
  const entries = (Reflect.getMetadata(PARAMETERS_METADATA, host, key) ?? {}) as object;
  return Object.keys(entries).some((name) => name.startsWith(`${kind}:`));
}
