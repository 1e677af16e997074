import { RocketMQError } from '../../message/rocketmq-error.js';
import type { MessageFilter } from '../subscription.js';

/** What a group wants of a topic. (Java: `SubscriptionData`.) */
export interface TopicSubscription {
  /** Its name at the broker. */
  readonly topic: string;
  readonly type: MessageFilter['type'];
  /** `*`, tags joined with `||`, or an SQL92 expression. */
  readonly expression: string;
  /** Empty for every message, and with SQL92. */
  readonly tags: readonly string[];
  /** Grows with every change of the subscription; brokers ignore older ones. */
  readonly version: number;
}

/** Matches every tag, and messages without one. (Java: `SubscriptionData.SUB_ALL`.) */
const SUB_ALL = '*';

/**
 * (Java: `FilterAPI.build`.)
 *
 * @param topic its name at the broker
 * @param version epoch milliseconds of the change
 * @throws RocketMQError `INVALID_ARGUMENT` for an expression that is empty or without any tag
 */
export function topicSubscription(topic: string, filter: MessageFilter, version: number): TopicSubscription {
  const { type } = filter;
  const expression = filter.expression.trim();
  if (type === 'sql92') {
    if (expression === '') throw emptyExpression(topic);
    return { topic, type, expression, tags: [], version };
  }
  const tags = filter.expression === '' || expression === SUB_ALL ? [] : splitTags(topic, expression);
  return { topic, type, expression: tags.length === 0 ? SUB_ALL : filter.expression, tags, version };
}

function splitTags(topic: string, expression: string): string[] {
  const tags = expression
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (tags.length === 0) throw emptyExpression(topic);
  return [...new Set(tags)];
}

function emptyExpression(topic: string): RocketMQError {
  return new RocketMQError(
    'INVALID_ARGUMENT',
    `The filter for topic "${topic}" is empty. Write "*", tags joined with "||", or an SQL92 expression.`,
  );
}
