import type { Capabilities, Capability } from '../client/capabilities.js';
import type { PushConsumerOptions } from '../client/push-consumer.js';
import type { MessageFilter, Subscription } from '../client/subscription.js';
import { toMilliseconds } from './duration.js';
import type { HandlerTarget, ListenerDefinition } from './listener-definition.js';
import { DEFAULT_CONNECTION, DEFAULT_HANDLER_TIMEOUT, DEFAULT_MAX_ATTEMPTS } from './listener-options.js';
import { tagsOf } from './listener-options-check.js';

/** The engine gives up on a handler only well after the listener did. */
const ENGINE_TIMEOUT_MARGIN_MS = 60_000;

/** Which handler of which listener gets the messages of a topic. */
export interface TopicRoute {
  readonly topic: string;
  readonly byTag: ReadonlyMap<string, Destination>;
  /** What `byTag` leaves. */
  readonly rest: Destination | undefined;
}

export interface Destination {
  readonly definition: ListenerDefinition;
  readonly handler: HandlerTarget;
}

/**
 * One push consumer and everything that hangs on it. RocketMQ wants every member of a group to subscribe to the
 * same; so all listeners of one connection and group are one consumer, and each of its topics one subscription.
 */
export interface ConsumerPlan {
  readonly connection: string;
  readonly group: string;
  readonly definitions: readonly [ListenerDefinition, ...ListenerDefinition[]];
  readonly routes: ReadonlyMap<string, TopicRoute>;
  readonly consumer: Omit<PushConsumerOptions, 'handler'>;
  /** Deliveries before a message is dead; Infinity without limit; 1 where nothing is delivered again. */
  readonly maxAttempts: number;
}

export interface Planning {
  readonly plans: readonly ConsumerPlan[];
  readonly problems: readonly string[];
}

/** Options of the consumer, on which its listeners must agree. */
const CONSUMER_KEYS = ['mode', 'model', 'concurrency', 'maxAttempts', 'startFrom', 'batchSize'] as const;

/** Merges enabled listeners into consumers and says everything that cannot be merged. */
export function planConsumers(definitions: readonly ListenerDefinition[]): Planning {
  const groups = new Map<string, [ListenerDefinition, ...ListenerDefinition[]]>();
  for (const definition of definitions) {
    const { connection = DEFAULT_CONNECTION, group, enabled = true } = definition.options;
    if (!enabled) continue;
    const key = `${connection}\n${group}`;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [definition]);
    else members.push(definition);
  }
  const problems: string[] = [];
  const plans = [...groups.values()].map((members) => planConsumer(members, problems));
  return { plans, problems };
}

function planConsumer(
  definitions: readonly [ListenerDefinition, ...ListenerDefinition[]],
  problems: string[],
): ConsumerPlan {
  const [first] = definitions;
  const { connection = DEFAULT_CONNECTION, group } = first.options;
  const merged: Record<string, unknown> = {};
  const conflict = (key: string, a: ListenerDefinition, b: ListenerDefinition): void => {
    problems.push(
      `Listeners "${a.id}" and "${b.id}" share group "${group}" but disagree on ${key}. Members of a group are one consumer: give both the same, or different groups.`,
    );
  };
  const owners = new Map<string, ListenerDefinition>();
  const mergeValue = (key: string, value: unknown, definition: ListenerDefinition): void => {
    if (value === undefined) return;
    const owner = owners.get(key);
    if (owner === undefined) {
      owners.set(key, definition);
      merged[key] = value;
    } else if (!sameValue(merged[key], value)) conflict(key, owner, definition);
  };
  for (const definition of definitions) {
    for (const key of CONSUMER_KEYS) mergeValue(key, definition.options[key], definition);
    for (const [key, value] of Object.entries(definition.options.tuning ?? {})) {
      mergeValue(key, value, definition);
    }
    if (definition.batch !== first.batch) conflict('being a batch listener', first, definition);
  }
  const routes = routesOf(definitions, problems);
  const { mode, maxAttempts, ...rest } = merged as {
    mode?: 'concurrent' | 'ordered';
    maxAttempts?: number;
  } & Omit<Partial<PushConsumerOptions>, 'mode' | 'maxAttempts'>;
  const timeouts = definitions.map(({ options }) =>
    toMilliseconds(options.timeout ?? DEFAULT_HANDLER_TIMEOUT),
  );
  const ordered = mode === 'ordered';
  return {
    connection,
    group,
    definitions,
    routes,
    maxAttempts:
      rest.model === 'broadcasting' ? 1 : (maxAttempts ?? (ordered ? Infinity : DEFAULT_MAX_ATTEMPTS)),
    consumer: {
      ...rest,
      group,
      subscriptions: subscriptionsOf(definitions),
      mode: ordered ? 'orderly' : 'concurrent',
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      consumeTimeoutMs: Math.max(...timeouts) + ENGINE_TIMEOUT_MARGIN_MS,
    },
  };
}

function sameValue(a: unknown, b: unknown): boolean {
  return a instanceof Date && b instanceof Date ? a.getTime() === b.getTime() : a === b;
}

/** Which tags a listener wants; undefined for SQL92, where only the broker knows. */
function wantedTags({ options, handlers }: ListenerDefinition): '*' | readonly string[] | undefined {
  const { filter } = options;
  if (filter !== undefined && typeof filter !== 'string' && filter.type === 'sql92') return undefined;
  if (filter !== undefined) return tagsOf(typeof filter === 'string' ? filter : filter.expression);
  if (handlers.some(({ tags }) => tags === undefined)) return '*';
  return handlers.flatMap(({ tags }) => tags ?? []);
}

function filterOf(definition: ListenerDefinition): MessageFilter {
  const { filter } = definition.options;
  if (filter !== undefined && typeof filter !== 'string' && filter.type === 'sql92') return filter;
  const wanted = wantedTags(definition) ?? '*';
  return { type: 'tag', expression: wanted === '*' ? '*' : wanted.join(' || ') };
}

function subscriptionsOf(definitions: readonly ListenerDefinition[]): Subscription[] {
  const filters = new Map<string, MessageFilter>();
  for (const definition of definitions) {
    const { topic } = definition.options;
    const known = filters.get(topic);
    const filter = filterOf(definition);
    filters.set(
      topic,
      known === undefined
        ? filter
        : { type: 'tag', expression: `${known.expression} || ${filter.expression}` },
    );
  }
  return [...filters].map(([topic, filter]) => ({ topic, filter }));
}

function routesOf(
  definitions: readonly ListenerDefinition[],
  problems: string[],
): ReadonlyMap<string, TopicRoute> {
  const byTopic = new Map<string, ListenerDefinition[]>();
  for (const definition of definitions) {
    const { topic } = definition.options;
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), definition]);
  }
  const routes = new Map<string, TopicRoute>();
  for (const [topic, members] of byTopic) {
    problems.push(...overlaps(topic, members));
    const byTag = new Map<string, Destination>();
    let rest: Destination | undefined;
    for (const definition of members) {
      const wanted = wantedTags(definition);
      for (const handler of definition.handlers) {
        if (handler.tags === undefined) {
          if (members.length === 1) rest = { definition, handler };
          else if (Array.isArray(wanted)) {
            for (const tag of wanted as readonly string[]) {
              if (!byTag.has(tag)) byTag.set(tag, { definition, handler });
            }
          }
        } else for (const tag of handler.tags) byTag.set(tag, { definition, handler });
      }
      problems.push(...tagProblems(definition, wanted));
    }
    routes.set(topic, { topic, byTag, rest });
  }
  return routes;
}

/** Several listeners of one group may share a topic only by dividing its tags among them. */
function overlaps(topic: string, members: readonly ListenerDefinition[]): string[] {
  if (members.length === 1) return [];
  const owners = new Map<string, string>();
  const problems: string[] = [];
  for (const definition of members) {
    const wanted = wantedTags(definition);
    if (wanted === undefined || wanted === '*') {
      const others = members.filter((other) => other !== definition).map(({ id }) => `"${id}"`);
      problems.push(
        `Listener "${definition.id}" shares topic "${topic}" and group "${definition.options.group}" with ${others.join(', ')}, but its subscription is ${wanted === '*' ? 'every message' : 'SQL92'}: a message of a group goes to one listener. Divide the tags among them, use @OnTag in one class, or give each its own group.`,
      );
      continue;
    }
    for (const tag of wanted) {
      const owner = owners.get(tag);
      if (owner !== undefined && owner !== definition.id) {
        problems.push(
          `Listeners "${owner}" and "${definition.id}" of group "${definition.options.group}" both want tag "${tag}" of topic "${topic}": a message of a group goes to one listener. Give each its own group.`,
        );
      }
      owners.set(tag, definition.id);
    }
  }
  return problems;
}

function tagProblems(
  { id, handlers }: ListenerDefinition,
  wanted: '*' | readonly string[] | undefined,
): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const tag of handlers.flatMap(({ tags }) => tags ?? [])) {
    if (seen.has(tag)) problems.push(`Listener "${id}" has two @OnTag("${tag}") methods. Keep one.`);
    seen.add(tag);
    if (Array.isArray(wanted) && !(wanted as readonly string[]).includes(tag)) {
      problems.push(
        `Listener "${id}" has @OnTag("${tag}"), which its filter leaves out. Add the tag to the filter, or leave the filter out.`,
      );
    }
  }
  if (Array.isArray(wanted) && handlers.every(({ tags }) => tags !== undefined)) {
    const lost = (wanted as readonly string[]).filter((tag) => !seen.has(tag));
    if (lost.length > 0) {
      problems.push(
        `Listener "${id}" subscribes to ${lost.map((tag) => `"${tag}"`).join(', ')}, but no @OnTag method takes it. Add one, or a "handle" method for the rest.`,
      );
    }
  }
  return problems;
}

/** What a plan asks of its engine and the engine does not have. */
export function missingCapabilities(plan: ConsumerPlan, engine: string, has: Capabilities): string[] {
  const ids = plan.definitions.map(({ id }) => `"${id}"`).join(', ');
  const needs: [Capability, boolean, string][] = [
    [
      'broadcasting',
      plan.consumer.model === 'broadcasting',
      'model "broadcasting". Use a group per instance',
    ],
    ['orderly', plan.consumer.mode === 'orderly', 'mode "ordered". Use another engine'],
    [
      'sql92',
      plan.consumer.subscriptions.some(({ filter }) => filter?.type === 'sql92'),
      'an SQL92 filter. Filter by tag',
    ],
    [
      'start-from-timestamp',
      plan.consumer.startFrom instanceof Date,
      'startFrom with a date. Use "first" or "last"',
    ],
  ];
  return needs
    .filter(([capability, needed]) => needed && !has.has(capability))
    .map(
      ([, , what]) =>
        `Listener ${ids}: the ${engine} engine of connection "${plan.connection}" does not have ${what}, or name a connection that can.`,
    );
}
