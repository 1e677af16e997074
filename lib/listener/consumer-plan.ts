import type { Capabilities, Capability } from '../client/capabilities.js';
import type { PushConsumerOptions } from '../client/push-consumer.js';
import { toMilliseconds } from '../message/duration.js';
import type { ListenerDefinition } from './listener-definition.js';
import { DEFAULT_CONNECTION, DEFAULT_HANDLER_TIMEOUT, DEFAULT_MAX_ATTEMPTS } from './listener-options.js';
import { filterOf, routeOf, routeProblems, type TopicRoute } from './topic-route.js';

/** The engine gives up on a handler only well after the listener did. */
const ENGINE_TIMEOUT_MARGIN_MS = 60_000;

/**
 * One push consumer and everything that hangs on it. RocketMQ wants every member of a group to subscribe to the
 * same; so all listeners of one connection and group are one consumer, and each of its topics one subscription.
 */
export interface ConsumerPlan {
  readonly connection: string;
  readonly group: string;
  readonly definitions: readonly [ListenerDefinition, ...ListenerDefinition[]];
  /** By topic. */
  readonly routes: ReadonlyMap<string, TopicRoute>;
  readonly consumer: Omit<PushConsumerOptions, 'handler'>;
  /** Deliveries before a message is dead; Infinity without limit; 1 where nothing is delivered again. */
  readonly maxAttempts: number;
}

export interface Planning {
  readonly plans: readonly ConsumerPlan[];
  /** What cannot be merged, one line each. */
  readonly problems: readonly string[];
}

type Members = readonly [ListenerDefinition, ...ListenerDefinition[]];

/** Merges enabled listeners into consumers. */
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

function planConsumer(definitions: Members, problems: string[]): ConsumerPlan {
  const { connection = DEFAULT_CONNECTION, group } = definitions[0].options;
  const { mode, maxAttempts, ...options } = mergeOptions(definitions, problems);
  const routes = new Map<string, TopicRoute>();
  const subscriptions = [];
  for (const [topic, members] of byTopic(definitions)) {
    problems.push(...routeProblems(topic, members));
    routes.set(topic, routeOf(topic, members));
    subscriptions.push({ topic, filter: filterOf(members) });
  }
  const dead = definitions.find(({ deadLettersOf }) => deadLettersOf !== undefined);
  if (dead !== undefined && routes.size > 1) {
    problems.push(
      `Listener "${dead.id}" reads dead letters in group "${group}", which has other topics. A dead letter carries the topic it was sent to, so it needs a group of its own: give it a consumerGroup.`,
    );
  }
  const timeouts = definitions.map(({ options: { timeout = DEFAULT_HANDLER_TIMEOUT } }) =>
    toMilliseconds(timeout),
  );
  const unlimited = mode === 'ordered' ? Infinity : DEFAULT_MAX_ATTEMPTS;
  return {
    connection,
    group,
    definitions,
    routes,
    maxAttempts: options.model === 'broadcasting' ? 1 : (maxAttempts ?? unlimited),
    consumer: {
      ...options,
      group,
      subscriptions,
      mode: mode === 'ordered' ? 'orderly' : 'concurrent',
      ...(maxAttempts !== undefined && { maxAttempts }),
      consumeTimeoutMs: Math.max(...timeouts) + ENGINE_TIMEOUT_MARGIN_MS,
    },
  };
}

function byTopic(definitions: Members): ReadonlyMap<string, readonly ListenerDefinition[]> {
  const topics = new Map<string, ListenerDefinition[]>();
  for (const definition of definitions) {
    const members = topics.get(definition.options.topic);
    if (members === undefined) topics.set(definition.options.topic, [definition]);
    else members.push(definition);
  }
  return topics;
}

/** Options of the consumer, on which its listeners must agree; undefined agrees with everything. */
const CONSUMER_KEYS = ['mode', 'model', 'concurrency', 'maxAttempts', 'startFrom', 'batchSize'] as const;

interface MergedOptions extends Partial<Omit<PushConsumerOptions, 'mode' | 'maxAttempts'>> {
  readonly mode?: 'concurrent' | 'ordered';
  readonly maxAttempts?: number;
}

function mergeOptions(definitions: Members, problems: string[]): MergedOptions {
  const merged = new Map<string, { readonly value: unknown; readonly owner: ListenerDefinition }>();
  const conflict = (key: string, a: ListenerDefinition, b: ListenerDefinition): void => {
    problems.push(
      `Listeners "${a.id}" and "${b.id}" share group "${a.options.group}" but disagree on ${key}. Members of a group are one consumer: give both the same, or different groups.`,
    );
  };
  for (const definition of definitions) {
    const own = [
      ...CONSUMER_KEYS.map((key) => [key, definition.options[key]] as const),
      ...Object.entries(definition.options.tuning ?? {}),
    ];
    for (const [key, value] of own) {
      if (value === undefined) continue;
      const known = merged.get(key);
      if (known === undefined) merged.set(key, { value, owner: definition });
      else if (!same(known.value, value)) conflict(key, known.owner, definition);
    }
    if (definition.batch !== definitions[0].batch) {
      conflict('being a batch listener', definitions[0], definition);
    }
  }
  return Object.fromEntries([...merged].map(([key, { value }]) => [key, value]));
}

function same(a: unknown, b: unknown): boolean {
  return a instanceof Date && b instanceof Date ? a.getTime() === b.getTime() : a === b;
}

/** What a plan asks of its engine and the engine does not have, one line each. */
export function missingCapabilities(plan: ConsumerPlan, engine: string, has: Capabilities): string[] {
  const { model, mode, startFrom, subscriptions } = plan.consumer;
  const sql92 = subscriptions.some(({ filter }) => filter?.type === 'sql92');
  const needs: [Capability, boolean, string][] = [
    ['broadcasting', model === 'broadcasting', 'model "broadcasting". Use a group per instance'],
    ['orderly', mode === 'orderly', 'mode "ordered". Use another engine'],
    ['sql92', sql92, 'an SQL92 filter. Filter by tag'],
    [
      'request-reply',
      plan.definitions.some(({ replies }) => replies === true),
      'replies. Use another engine',
    ],
    ['start-from-timestamp', startFrom instanceof Date, 'startFrom with a date. Use "first" or "last"'],
  ];
  const ids = plan.definitions.map(({ id }) => `"${id}"`).join(', ');
  return needs
    .filter(([capability, needed]) => needed && !has.has(capability))
    .map(
      ([, , what]) =>
        `Listener ${ids}: the ${engine} engine of connection "${plan.connection}" does not have ${what}, or name a connection that can.`,
    );
}

/**
 * Groups of which some listeners are disabled, as sentences. The brokers share out the queues of a topic among all
 * members of a group, whether they subscribe to it or not: if other instances have these listeners enabled, the
 * queues this instance is given are read by nobody.
 */
export function halfDisabledGroups(definitions: readonly ListenerDefinition[]): string[] {
  const key = ({ options: { connection = DEFAULT_CONNECTION, group } }: ListenerDefinition): string =>
    `${connection}\n${group}`;
  const enabled = new Set(definitions.filter(({ options }) => options.enabled !== false).map(key));
  return definitions
    .filter((definition) => definition.options.enabled === false && enabled.has(key(definition)))
    .map(
      ({ id, options }) =>
        `Listener "${id}" is disabled, and other listeners of group "${options.group}" are not. Make sure that every instance of the group has it disabled, or give it a group of its own: otherwise the queues that fall to this instance are read by nobody.`,
    );
}
