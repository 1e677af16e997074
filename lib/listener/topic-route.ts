import type { MessageFilter } from '../client/subscription.js';
import type { HandlerTarget, ListenerDefinition } from './listener-definition.js';
import { tagsOf } from './listener-options-check.js';

/** One handler of one listener. */
export interface Destination {
  readonly definition: ListenerDefinition;
  readonly handler: HandlerTarget;
}

/** Which handler of which listener gets the messages of a topic. */
export interface TopicRoute {
  readonly topic: string;
  readonly byTag: ReadonlyMap<string, Destination>;
  /** What `byTag` leaves. */
  readonly rest: Destination | undefined;
}

type Wanted = '*' | readonly string[] | 'sql92';

/** Which tags a listener wants; with SQL92 only the broker knows. */
function wantedTags({ options, handlers }: ListenerDefinition): Wanted {
  const { filter } = options;
  if (typeof filter === 'string') return tagsOf(filter);
  if (filter !== undefined) return filter.type === 'sql92' ? 'sql92' : tagsOf(filter.expression);
  if (handlers.some(({ tags }) => tags === undefined)) return '*';
  return [...new Set(handlers.flatMap(({ tags }) => tags ?? []))];
}

/** The subscription that listeners of one group and topic make together. */
export function filterOf(members: readonly ListenerDefinition[]): MessageFilter {
  const filter = members[0]?.options.filter;
  if (typeof filter === 'object' && filter.type === 'sql92') return filter;
  const wanted = members.map(wantedTags);
  const expressions = wanted.map((tags) => (typeof tags === 'string' ? tags : tags.join(' || ')));
  return { type: 'tag', expression: expressions.join(' || ') };
}

/** Divides the messages of a topic among the handlers of a group. */
export function routeOf(topic: string, members: readonly ListenerDefinition[]): TopicRoute {
  const byTag = new Map<string, Destination>();
  let rest: Destination | undefined;
  for (const definition of members) {
    const wanted = wantedTags(definition);
    for (const handler of definition.handlers) {
      const destination = { definition, handler };
      for (const tag of handler.tags ?? []) byTag.set(tag, destination);
      if (handler.tags !== undefined) continue;
      if (members.length === 1 || typeof wanted === 'string') rest = destination;
      else for (const tag of wanted.filter((each) => !byTag.has(each))) byTag.set(tag, destination);
    }
  }
  return { topic, byTag, rest };
}

/** What is wrong with how a topic is divided, one line each. */
export function routeProblems(topic: string, members: readonly ListenerDefinition[]): string[] {
  return [...overlaps(topic, members), ...members.flatMap(tagProblems)];
}

/** Several listeners of one group may share a topic only by dividing its tags among them. */
function overlaps(topic: string, members: readonly ListenerDefinition[]): string[] {
  if (members.length === 1) return [];
  const owners = new Map<string, string>();
  const problems: string[] = [];
  for (const definition of members) {
    const { group } = definition.options;
    const wanted = wantedTags(definition);
    if (typeof wanted === 'string') {
      const others = members.filter((other) => other !== definition).map(({ id }) => `"${id}"`);
      problems.push(
        `Listener "${definition.id}" shares topic "${topic}" and group "${group}" with ${others.join(', ')}, but its subscription is ${wanted === '*' ? 'every message' : 'SQL92'}: a message of a group goes to one listener. Divide the tags among them, use @OnTag in one class, or give each its own group.`,
      );
      continue;
    }
    for (const tag of wanted) {
      const owner = owners.get(tag);
      if (owner !== undefined) {
        problems.push(
          `Listeners "${owner}" and "${definition.id}" of group "${group}" both want tag "${tag}" of topic "${topic}": a message of a group goes to one listener. Give each its own group.`,
        );
      }
      owners.set(tag, definition.id);
    }
  }
  return problems;
}

/** `@OnTag` methods against each other and against the filter of their class. */
function tagProblems(definition: ListenerDefinition): string[] {
  const { id, handlers } = definition;
  const wanted = wantedTags(definition);
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const tag of handlers.flatMap(({ tags }) => tags ?? [])) {
    if (seen.has(tag)) problems.push(`Listener "${id}" has two @OnTag("${tag}") methods. Keep one.`);
    seen.add(tag);
    if (typeof wanted !== 'string' && !wanted.includes(tag)) {
      problems.push(
        `Listener "${id}" has @OnTag("${tag}"), which its filter leaves out. Add the tag to the filter, or leave the filter out.`,
      );
    }
  }
  if (typeof wanted !== 'string' && handlers.every(({ tags }) => tags !== undefined)) {
    const lost = wanted.filter((tag) => !seen.has(tag)).map((tag) => `"${tag}"`);
    if (lost.length > 0) {
      problems.push(
        `Listener "${id}" subscribes to ${lost.join(', ')}, but no @OnTag method takes it. Add one, or a "handle" method for the rest.`,
      );
    }
  }
  return problems;
}
