import { checkGroup, checkTag, checkTopic } from '../message/message-limits.js';
import { toMilliseconds, type Duration } from '../message/duration.js';
import { FAILURE_ACTIONS, FAILURE_KINDS } from './failure-policy.js';
import type { HandlerTarget } from './listener-definition.js';
import { LISTENER_OPTION_KEYS, TUNING_KEYS, type BatchListenerOptions } from './listener-options.js';

/** What is wrong with the options of one listener, one line each. Nothing is trusted: they may come from JSON. */
export function checkListenerOptions(
  options: BatchListenerOptions,
  { batch, target }: { readonly batch: boolean; readonly target: HandlerTarget },
): string[] {
  const problems: string[] = [];
  const check = (attempt: () => void): void => {
    try {
      attempt();
    } catch (error) {
      problems.push((error as Error).message);
    }
  };
  const say = (wrong: boolean, problem: string): void => {
    if (wrong) problems.push(problem);
  };
  const unknown = Object.keys(options).filter((key) => !LISTENER_OPTION_KEYS.has(key));
  say(
    unknown.length > 0,
    `unknown option ${unknown.map((key) => `"${key}"`).join(', ')}. Correct the name or remove it.`,
  );
  check(() => checkTopic(options.topic));
  check(() => checkGroup(options.group));
  check(() => checkFilter(options.filter));
  if (options.timeout !== undefined) check(() => toMilliseconds(options.timeout as Duration));
  check(() => checkRetry(options.retry));
  say(
    !oneOf(options.mode, ['concurrent', 'ordered']),
    `mode "${options.mode}" is neither "concurrent" nor "ordered".`,
  );
  say(
    !oneOf(options.model, ['clustering', 'broadcasting']),
    `model "${options.model}" is neither "clustering" nor "broadcasting".`,
  );
  for (const key of ['concurrency', 'maxAttempts', 'batchSize'] as const) {
    const value = options[key];
    say(
      value !== undefined && (!Number.isInteger(value) || value < 1),
      `${key} is ${value}. Give a whole number, 1 or more.`,
    );
  }
  say(!batch && (options.batchSize ?? 1) > 1, 'batchSize is for @RocketMQBatchListener. Use that decorator.');
  const { startFrom } = options;
  say(
    !oneOf(startFrom, ['last', 'first']) &&
      !(startFrom instanceof Date && !Number.isNaN(startFrom.getTime())),
    `startFrom ${String(startFrom)} is neither "last", "first" nor a date.`,
  );
  problems.push(...failureProblems(options.failures));
  const tuning = Object.keys(options.tuning ?? {}).filter((key) => !TUNING_KEYS.has(key));
  say(
    tuning.length > 0,
    `unknown tuning ${tuning.map((key) => `"${key}"`).join(', ')}. Correct the name or remove it.`,
  );
  const { onExhausted } = options;
  if (typeof onExhausted === 'string') {
    const host = target.prototype as Record<string, unknown>;
    say(
      typeof host[onExhausted] !== 'function',
      `onExhausted names "${onExhausted}", which is no method of its class.`,
    );
  } else {
    say(
      onExhausted !== undefined && typeof onExhausted !== 'function',
      'onExhausted is neither a function nor the name of a method.',
    );
  }
  return problems;
}

function checkFilter(filter: BatchListenerOptions['filter']): void {
  if (filter === undefined) return;
  const expression: unknown = typeof filter === 'string' ? filter : filter.expression;
  if (typeof expression !== 'string' || expression.trim() === '')
    throw new Error('the filter is empty. Leave it out for everything.');
  if (typeof filter === 'string' || filter.type === 'tag') {
    const names = tagsOf(expression);
    if (names !== '*') for (const name of names) checkTag(name);
  }
}

function checkRetry(retry: BatchListenerOptions['retry']): void {
  if (retry === undefined || typeof retry === 'function') return;
  const list = Array.isArray(retry) ? (retry as readonly Duration[]) : [retry as Duration];
  if (list.length === 0) throw new Error("retry is an empty list. Leave it out for the broker's schedule.");
  for (const duration of list) toMilliseconds(duration);
}

/** @returns problems of the failure policies, of a listener or of the module */
export function failureProblems(failures: object | undefined): string[] {
  return Object.entries(failures ?? {}).flatMap(([kind, action]) => {
    if (!(FAILURE_KINDS as readonly string[]).includes(kind)) {
      return [`unknown failure "${kind}". Known: ${FAILURE_KINDS.join(', ')}.`];
    }
    if (action !== undefined && !(FAILURE_ACTIONS as readonly unknown[]).includes(action)) {
      return [`failures.${kind} is "${String(action)}". Choose one of ${FAILURE_ACTIONS.join(', ')}.`];
    }
    return [];
  });
}

/** The tags of an expression, or `*` for everything. */
export function tagsOf(expression: string): '*' | readonly string[] {
  const trimmed = expression.trim();
  if (trimmed === '*' || trimmed === '') return '*';
  return [...new Set(trimmed.split('||').map((tag) => tag.trim()))];
}

function oneOf(value: unknown, allowed: readonly string[]): boolean {
  return value === undefined || (typeof value === 'string' && allowed.includes(value));
}
