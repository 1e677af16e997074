import { deadLetterTopicOf } from '../client/group-topics.js';
import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, ModuleRef } from '@nestjs/core';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { HandlerTarget, InstanceWrapper, ListenerDefinition } from './listener-definition.js';
import {
  hasParameter,
  itemPipeOf,
  LISTENER_METADATA,
  type ListenerMetadata,
  ON_TAG_METADATA,
  ParameterKind,
} from './listener-metadata.js';
import {
  type BatchListenerOptions,
  DEAD_LETTER_DEFAULTS,
  DEFAULT_BATCH_SIZE,
  type DeadLetterListenerOptions,
  type ListenerOptions,
  type ListenerOverrides,
} from './listener-options.js';
import { checkListenerOptions } from './listener-options-check.js';

export interface Exploration {
  readonly definitions: readonly ListenerDefinition[];
  /** Everything that is wrong, one line each. */
  readonly problems: readonly string[];
}

type Overrides = Readonly<Record<string, ListenerOverrides>>;

/** Finds the listeners of the application and resolves their options. */
@Injectable()
export class ListenerExplorer {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
  ) {}

  async explore(overrides: Overrides = {}): Promise<Exploration> {
    const definitions: ListenerDefinition[] = [];
    const problems: string[] = [];
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const prototype = prototypeOf(wrapper);
      if (prototype === undefined) continue;
      for (const found of this.inClass(wrapper, prototype, problems)) {
        const definition = await this.define(found, overrides, problems);
        if (definition !== undefined) definitions.push(definition);
      }
    }
    problems.push(...duplicates(definitions), ...strangers(definitions, overrides));
    return { definitions, problems };
  }

  private inClass(wrapper: InstanceWrapper, prototype: object, problems: string[]): Found[] {
    const name = prototype.constructor.name;
    const found: Found[] = [];
    const tagged: HandlerTarget[] = [];
    for (const method of this.scanner.getAllMethodNames(prototype)) {
      const callback = (prototype as Record<string, unknown>)[method] as object;
      const tags = Reflect.getMetadata(ON_TAG_METADATA, callback) as readonly string[] | undefined;
      if (tags !== undefined) tagged.push(target(wrapper, prototype, method, tags));
      const listeners = (Reflect.getMetadata(LISTENER_METADATA, callback) ?? []) as ListenerMetadata[];
      for (const [index, metadata] of listeners.entries()) {
        const id = index === 0 ? `${name}.${method}` : `${name}.${method}#${index + 1}`;
        found.push({ id, metadata, handlers: [target(wrapper, prototype, method)] });
      }
    }
    const onClass = (Reflect.getMetadata(LISTENER_METADATA, prototype.constructor) ??
      []) as ListenerMetadata[];
    if (onClass.length === 0 && tagged.length > 0) {
      problems.push(
        `${name} has @OnTag methods but no @RocketMQListener on the class. Put it there, with topic and group.`,
      );
    }
    for (const [index, metadata] of onClass.entries()) {
      const handlers = [...tagged];
      if (typeof (prototype as { handle?: unknown }).handle === 'function') {
        handlers.push(target(wrapper, prototype, 'handle'));
      }
      const [first, ...rest] = handlers;
      if (first === undefined) {
        problems.push(
          `${name} has @RocketMQListener on the class, but neither a "handle" method nor @OnTag methods. Add one, or move the decorator to a method.`,
        );
        continue;
      }
      found.push({ id: index === 0 ? name : `${name}#${index + 1}`, metadata, handlers: [first, ...rest] });
    }
    return found;
  }

  private async define(
    { id: defaultId, metadata, handlers }: Found,
    overrides: Overrides,
    problems: string[],
  ): Promise<ListenerDefinition | undefined> {
    let given: ListenerOptions | BatchListenerOptions | DeadLetterListenerOptions;
    try {
      given = await this.resolve(metadata);
    } catch (error) {
      problems.push(`Listener ${defaultId}: its options could not be made: ${(error as Error).message}`);
      return undefined;
    }
    if (typeof given !== 'object' || given === null) {
      problems.push(`Listener ${defaultId} has no options. Give at least { topic, group }.`);
      return undefined;
    }
    let deadLettersOf: string | undefined;
    if (metadata.kind === 'dead-letter') {
      const { group, consumerGroup = `${group}-dead-letters`, ...rest } = given as DeadLetterListenerOptions;
      deadLettersOf = group;
      given = { ...DEAD_LETTER_DEFAULTS, ...rest, topic: deadLetterTopicOf(group), group: consumerGroup };
    }
    const id = given.id ?? defaultId;
    const override = Object.hasOwn(overrides, id) ? overrides[id] : undefined;
    const batch = metadata.kind === 'batch';
    const options = {
      ...(batch ? { batchSize: DEFAULT_BATCH_SIZE } : {}),
      ...(given as ListenerOptions),
      ...withoutUndefined(override),
      id,
    };
    const wrong = checkListenerOptions(options, { batch, target: handlers[0] });
    problems.push(...wrong.map((problem) => `Listener ${id}: ${problem}`));
    const replies = metadata.kind === 'reply';
    return wrong.length > 0 ? undefined : { id, batch, replies, deadLettersOf, options, handlers };
  }

  private async resolve(
    metadata: ListenerMetadata,
  ): Promise<ListenerOptions | BatchListenerOptions | DeadLetterListenerOptions> {
    if (typeof metadata.options !== 'function') return metadata.options;
    const services = metadata.inject.map((token) => this.moduleRef.get(token as never, { strict: false }));
    return metadata.options(...(services as never[]));
  }
}

interface Found {
  readonly id: string;
  readonly metadata: ListenerMetadata;
  readonly handlers: readonly [HandlerTarget, ...HandlerTarget[]];
}

function target(
  wrapper: InstanceWrapper,
  prototype: object,
  method: string,
  tags?: readonly string[],
): HandlerTarget {
  const host = prototype.constructor;
  return {
    wrapper,
    prototype,
    method,
    tags,
    usesPayload: hasParameter(host, method, ParameterKind.payload),
    usesTransaction: hasParameter(host, method, ParameterKind.transaction),
    itemPipe: itemPipeOf(host, method),
  };
}

/** Of the class where Nest makes the instance, of the instance otherwise (factories, values). */
function prototypeOf(wrapper: InstanceWrapper): object | undefined {
  if (wrapper.isAlias) return undefined;
  const { metatype } = wrapper;
  if (!wrapper.isNotMetatype && typeof metatype === 'function')
    return metatype.prototype as object | undefined;
  const instance: unknown = wrapper.instance;
  if (typeof instance !== 'object' || instance === null) return undefined;
  const prototype = Object.getPrototypeOf(instance) as object | null;
  return prototype === null || prototype === Object.prototype ? undefined : prototype;
}

function withoutUndefined(override: ListenerOverrides | undefined): ListenerOverrides {
  return Object.fromEntries(Object.entries(override ?? {}).filter(([, value]) => value !== undefined));
}

function duplicates(definitions: readonly ListenerDefinition[]): string[] {
  const seen = new Map<string, number>();
  for (const { id } of definitions) seen.set(id, (seen.get(id) ?? 0) + 1);
  return [...seen]
    .filter(([, count]) => count > 1)
    .map(
      ([id, count]) =>
        `Listener id "${id}" is used ${count} times. Give each listener its own "id", and provide a listener class in one module only.`,
    );
}

function strangers(definitions: readonly ListenerDefinition[], overrides: Overrides): string[] {
  const known = new Set(definitions.map(({ id }) => id));
  return Object.keys(overrides)
    .filter((id) => !known.has(id))
    .map(
      (id) =>
        `The option listeners["${id}"] names no listener of this application. Known: ${[...known].sort().join(', ') || 'none'}.`,
    );
}

/** For the module: an error with every line. */
export function configurationError(problems: readonly string[]): RocketMQError {
  const list = problems.map((problem) => `  - ${problem}`).join('\n');
  return new RocketMQError(
    'INVALID_CONFIGURATION',
    `RocketMQ cannot start, ${problems.length === 1 ? 'one thing is' : `${problems.length} things are`} wrong:\n${list}\nCorrect ${problems.length === 1 ? 'it' : 'them'} and start again.`,
  );
}
