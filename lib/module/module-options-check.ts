import { toMilliseconds, type Duration } from '../message/duration.js';
import { failureProblems } from '../listener/listener-options-check.js';
import { TOPIC_TYPES, type TopicOptions } from '../client/admin.js';
import { checkTopic } from '../message/message-limits.js';
import {
  CONNECTION_KEYS,
  type ConnectionOptions,
  MODULE_KEYS,
  type RocketMQModuleOptions,
} from './rocketmq-module-options.js';

const TOPIC_POLICIES = ['check', 'create', 'ignore'];
const ENHANCERS = ['guards', 'interceptors', 'filters'];

/** What is wrong with the module options, one line each. Nothing is trusted: they may come from JSON. */
export function checkModuleOptions(options: RocketMQModuleOptions): string[] {
  const problems = [
    ...unknownKeys('RocketMQModule', options, MODULE_KEYS),
    ...unknownKeys('shutdown', options.shutdown, new Set(['drainTimeout'])),
    ...unknownKeys('enhancers', options.enhancers, new Set(ENHANCERS)),
    ...unknownKeys('database', options.database, new Set(['dataSource', 'transactionHost'])),
    ...failureProblems(options.failures),
  ];
  problems.push(...declaredTopicProblems('declaredTopics', options.declaredTopics));
  for (const [name, connection] of Object.entries(options.connections ?? {})) {
    problems.push(...declaredTopicProblems(`connections.${name}.declaredTopics`, connection.declaredTopics));
    problems.push(...unknownKeys(`connections.${name}`, connection, new Set<string>(CONNECTION_KEYS)));
    if (name === 'default') {
      problems.push('connections.default: that name belongs to the top level of the options. Rename it.');
    }
  }
  if (options.topics !== undefined && !TOPIC_POLICIES.includes(options.topics)) {
    problems.push(`topics is "${options.topics}". Choose one of ${TOPIC_POLICIES.join(', ')}.`);
  }
  if (options.shutdown?.drainTimeout !== undefined) {
    try {
      toMilliseconds(options.shutdown.drainTimeout as Duration);
    } catch (error) {
      problems.push(`shutdown.drainTimeout: ${(error as Error).message}`);
    }
  }
  return problems;
}

function declaredTopicProblems(where: string, declared: ConnectionOptions['declaredTopics']): string[] {
  return Object.entries(declared ?? {}).flatMap(([topic, given]) => {
    const at = `${where}["${topic}"]`;
    const problems = unknownKeys(at, given, new Set(['queues', 'type']));
    try {
      checkTopic(topic);
    } catch (error) {
      problems.push(`${where}: ${(error as Error).message}`);
    }
    const { queues, type }: TopicOptions = given ?? {};
    if (queues !== undefined && (!Number.isInteger(queues) || queues < 1)) {
      problems.push(`${at}: queues is ${queues}. Give a whole number, 1 or more.`);
    }
    if (type !== undefined && !TOPIC_TYPES.includes(type)) {
      problems.push(`${at}: type is "${type}". Choose one of ${TOPIC_TYPES.join(', ')}.`);
    }
    return problems;
  });
}

function unknownKeys(where: string, given: object | undefined, known: ReadonlySet<string>): string[] {
  return Object.keys(given ?? {})
    .filter((key) => !known.has(key))
    .map((key) => `${where} has an unknown option "${key}". Known: ${[...known].join(', ')}.`);
}
