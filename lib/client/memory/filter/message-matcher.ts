import type { TopicSubscription } from '../../consumer/topic-subscription.js';
import { Property } from '../message-properties.js';
import { compileSql92 } from './sql92-parser.js';

/** Whether a message is wanted, by its properties. */
export type MessageMatcher = (properties: Readonly<Record<string, string>>) => boolean;

const EVERYTHING: MessageMatcher = () => true;

/** @throws RocketMQError `BROKER_REJECTED` for SQL92 that is not understood */
export function compileFilter({ type, expression, tags }: TopicSubscription): MessageMatcher {
  if (type === 'sql92') {
    const condition = compileSql92(expression);
    return (properties) => condition(properties) === true;
  }
  if (tags.length === 0) return EVERYTHING;
  const wanted = new Set(tags);
  return (properties) => {
    const tag = properties[Property.TAGS];
    return tag !== undefined && wanted.has(tag);
  };
}
