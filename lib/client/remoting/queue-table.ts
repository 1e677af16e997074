import type { MessageQueue } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { parseLenientJson, type LenientValue } from './protocol/lenient-json.js';

/** An entry of a map whose keys are queues. */
export interface QueueTableEntry {
  readonly queue: MessageQueue;
  readonly value: LenientValue;
}

/**
 * Reads one member of an answer that maps queues to something, as ConsumeStats, TopicStatsTable and ResetOffsetBody
 * have it: Java writes the queue itself as the key, which is not JSON.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function parseQueueTable(body: Buffer, member: string): QueueTableEntry[] {
  const root = parseLenientJson(body.toString('utf8'));
  const table = isFields(root) ? root[member] : undefined;
  if (table === undefined || table === null) return [];
  // Empty maps have no key that would tell them from an object.
  if (!(table instanceof Map)) return [];
  return Array.from(table as ReadonlyMap<LenientValue, LenientValue>, ([key, value]) => ({
    queue: toQueue(key, member),
    value,
  }));
}

/** One number of an entry's value. */
export function numberField(value: LenientValue, name: string): number {
  const field = isFields(value) ? value[name] : undefined;
  if (typeof field !== 'number') throw unreadable(name);
  return field;
}

/** Writes a map of queues as Java writes it. */
export function encodeQueueTable(entries: Iterable<readonly [MessageQueue, number | object]>): string {
  const parts = Array.from(
    entries,
    ([{ brokerName, queueId, topic }, value]) =>
      `${JSON.stringify({ brokerName, queueId, topic })}:${JSON.stringify(value)}`,
  );
  return `{${parts.join(',')}}`;
}

function toQueue(key: LenientValue, member: string): MessageQueue {
  if (isFields(key)) {
    const { topic, brokerName, queueId } = key;
    if (typeof topic === 'string' && typeof brokerName === 'string' && typeof queueId === 'number') {
      return { topic, brokerName, queueId };
    }
  }
  throw unreadable(member);
}

function isFields(value: LenientValue | undefined): value is { readonly [name: string]: LenientValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function unreadable(member: string): RocketMQError {
  return new RocketMQError(
    'PROTOCOL_VIOLATION',
    `The broker's answer has no readable "${member}". Check that the address is a RocketMQ broker.`,
  );
}
