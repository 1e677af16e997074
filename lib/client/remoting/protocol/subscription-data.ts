import type { TopicSubscription } from '../../consumer/topic-subscription.js';
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

/** How heartbeats say it. */
export function subscriptionDataOf({
  topic,
  type,
  expression,
  tags,
  version,
}: TopicSubscription): SubscriptionData {
  return {
    classFilterMode: false,
    topic,
    subString: expression,
    tagsSet: tags,
    codeSet: [...new Set(tags.map(javaStringHashCode))],
    subVersion: version,
    expressionType: expressionTypeOf(type),
  };
}

/** (Java: `ExpressionType`.) */
export function expressionTypeOf(type: TopicSubscription['type']): SubscriptionData['expressionType'] {
  return type === 'sql92' ? 'SQL92' : 'TAG';
}
