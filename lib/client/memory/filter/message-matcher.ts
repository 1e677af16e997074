import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { MessageFilter } from '../../subscription.js';
import { Property } from '../message-properties.js';
import { compileSql92 } from './sql92-parser.js';

/** Whether a message is wanted, by its properties. */
export type MessageMatcher = (properties: Readonly<Record<string, string>>) => boolean;

const EVERYTHING: MessageMatcher = () => true;

/** @throws RocketMQError `INVALID_ARGUMENT` for an empty expression, `BROKER_REJECTED` for SQL92 that is not understood */
export function compileFilter(topic: string, filter: MessageFilter | undefined): MessageMatcher {
  const expression = filter?.expression.trim() ?? '*';
  if (filter?.type === 'sql92') {
    if (expression === '') throw emptyExpression(topic);
    const condition = compileSql92(expression);
    return (properties) => condition(properties) === true;
  }
  if (expression === '*' || expression === '') return EVERYTHING;
  const tags = new Set(
    expression
      .split('||')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
  );
  if (tags.size === 0) throw emptyExpression(topic);
  return (properties) => {
    const tag = properties[Property.TAGS];
    return tag !== undefined && tags.has(tag);
  };
}

function emptyExpression(topic: string): RocketMQError {
  return new RocketMQError(
    'INVALID_ARGUMENT',
    `The filter for topic "${topic}" is empty. Write "*", tags joined with "||", or an SQL92 expression.`,
  );
}
