import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { MessageFilter } from '../../subscription.js';
import { javaStringHashCode } from './java-hash.js';

/** What a group wants of a topic, as heartbeats tell it. (Java: `SubscriptionData`.) */
export interface SubscriptionData {
  readonly classFilterMode: false;
  readonly topic: string;
  /** `*`, tags joined with `||`, or an SQL92 expression. */
  readonly subString: string;
  readonly tagsSet: readonly string[];
  /** Java hash codes of the tags; the broker filters by these alone, so consumers compare the tags themselves again. */
  readonly codeSet: readonly number[];
  /** Grows with every change of the subscription; brokers ignore older ones. */
  readonly subVersion: number;
  readonly expressionType: 'TAG' | 'SQL92';
}

/** Matches every tag, and messages without one. (Java: `SubscriptionData.SUB_ALL`.) */
export const SUB_ALL = '*';

/**
 * (Java: `FilterAPI.build`.)
 *
 * @param subVersion epoch milliseconds of the change
 * @throws RocketMQError `INVALID_ARGUMENT` for an expression without any tag
 */
export function buildSubscriptionData(
  topic: string,
  filter: MessageFilter,
  subVersion: number,
): SubscriptionData {
  const expression = filter.expression.trim();
  if (filter.type === 'sql92') {
    if (expression === '') throw emptyExpression(topic);
    return {
      classFilterMode: false,
      topic,
      subString: expression,
      tagsSet: [],
      codeSet: [],
      subVersion,
      expressionType: 'SQL92',
    };
  }
  const tags = filter.expression === '' || expression === SUB_ALL ? [] : splitTags(topic, expression);
  return {
    classFilterMode: false,
    topic,
    subString: tags.length === 0 ? SUB_ALL : filter.expression,
    tagsSet: tags,
    codeSet: [...new Set(tags.map(javaStringHashCode))],
    subVersion,
    expressionType: 'TAG',
  };
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
