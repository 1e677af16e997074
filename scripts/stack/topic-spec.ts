import type { TopicType } from '../../lib/client/admin.js';
import { StackError } from './stack-error.js';

export interface TopicSpec {
  readonly name: string;
  readonly type: TopicType;
  readonly queues: number;
}

const TYPES: readonly TopicType[] = ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED'];
const DEFAULT_QUEUES = 4;

/**
 * `orders`, `orders:FIFO` or `orders:FIFO:8`.
 * @throws StackError for anything else.
 */
export function parseTopic(text: string): TopicSpec {
  const [name = '', typeName = 'NORMAL', queuesText = String(DEFAULT_QUEUES), ...rest] = text.split(':');
  const type = TYPES.find((each) => each === typeName.toUpperCase());
  const queues = Number(queuesText);
  if (name === '' || type === undefined || !(Number.isInteger(queues) && queues > 0) || rest.length > 0) {
    throw new StackError(
      `'${text}' is not a topic. Write NAME, NAME:TYPE or NAME:TYPE:QUEUES; types are ${TYPES.join(', ')}.`,
    );
  }
  return { name, type, queues };
}
