import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { parseLenientJson, type LenientValue } from './lenient-json.js';

/** An entry of a map whose keys are message queues. */
export interface QueueMapEntry {
  readonly queue: MessageQueue;
  readonly value: LenientValue;
}

/**
 * The entries of a map with message queues as keys, by the name it has in the body: `offsetTable` of ConsumeStats,
 * TopicStatsTable and ResetOffsetBody. Empty when the body has no such map.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function parseQueueMap(body: Buffer, name: string): QueueMapEntry[] {
  const fields = parseLenientJson(body.toString('utf8'));
  const map = isFields(fields) ? fields[name] : undefined;
  if (!(map instanceof Map)) return [];
  return Array.from(map as ReadonlyMap<LenientValue, LenientValue>, ([key, value]) => ({
    queue: toMessageQueue(key),
    value,
  }));
}

/** One number of an entry's value. @throws RocketMQError `PROTOCOL_VIOLATION` */
export function numberField(value: LenientValue, name: string): number {
  const field = isFields(value) ? value[name] : undefined;
  if (typeof field === 'number') return field;
  throw new RocketMQError(
    'PROTOCOL_VIOLATION',
    `The broker's answer has no readable "${name}". Check that the address is a RocketMQ broker.`,
  );
}

/** Writes such a map as Java does, with the queues themselves as keys: not JSON. */
export function encodeQueueMap(entries: Iterable<readonly [MessageQueue, number | object]>): string {
  const parts = Array.from(
    entries,
    ([{ brokerName, queueId, topic }, value]) =>
      `${JSON.stringify({ brokerName, queueId, topic })}:${JSON.stringify(value)}`,
  );
  return `{${parts.join(',')}}`;
}

/**
 * @throws RocketMQError `PROTOCOL_VIOLATION` when it is not a message queue
 */
export function toMessageQueue(value: LenientValue): MessageQueue {
  if (isFields(value)) {
    const { topic, brokerName, queueId } = value;
    if (typeof topic === 'string' && typeof brokerName === 'string' && typeof queueId === 'number') {
      return { topic, brokerName, queueId };
    }
  }
  throw new RocketMQError(
    'PROTOCOL_VIOLATION',
    'An answer has something else where a message queue belongs. Check the version of the broker.',
  );
}

function isFields(value: LenientValue): value is { readonly [name: string]: LenientValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}
