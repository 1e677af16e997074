import { toMilliseconds, type Duration } from '../message/duration.js';
import { failureProblems } from '../listener/listener-options-check.js';
import { CONNECTION_KEYS, MODULE_KEYS, type RocketMQModuleOptions } from './rocketmq-module-options.js';

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
  for (const [name, connection] of Object.entries(options.connections ?? {})) {
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

function unknownKeys(where: string, given: object | undefined, known: ReadonlySet<string>): string[] {
  return Object.keys(given ?? {})
    .filter((key) => !known.has(key))
    .map((key) => `${where} has an unknown option "${key}". Known: ${[...known].join(', ')}.`);
}
