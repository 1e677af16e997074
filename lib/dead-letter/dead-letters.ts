import { deadLetterTopicOf } from '../client/group-topics.js';
import type { Producer } from '../client/producer.js';
import type { PullConsumer } from '../client/pull-consumer.js';
import type { RocketMQClient } from '../client/rocketmq-client.js';
import type { SendReceipt } from '../client/send.js';
import { DEAD_LETTER_REASON } from '../message/dead-letter-reason.js';
import type { MessageQueue, ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';

/** A message a consumer group gave up. */
export interface DeadLetter {
  /** The group. */
  readonly group: string;
  /** Why, when this library rejected it. */
  readonly reason: string | undefined;
  /** As it was sent: original topic, tag, keys, headers, body. */
  readonly message: ReceivedMessage;
}

/** Which page of dead letters. */
export interface DeadLetterPageRequest {
  /** At most 500. @default 50 */
  readonly limit?: number;
  /** The `next` of the page before. @default the newest */
  readonly cursor?: string;
  /** Name of the connection. @default 'default' */
  readonly connection?: string;
}

/** A page of dead letters. */
export interface DeadLetterPage {
  /** Newest first. */
  readonly items: readonly DeadLetter[];
  /** Where the next, older page begins; undefined on the last one. */
  readonly next: string | undefined;
}

/** The connections as this feature needs them. */
export interface DeadLetterConnections {
  get(name?: string): {
    readonly client: Pick<RocketMQClient, 'admin' | 'createPullConsumer'>;
    readonly producer: Pick<Producer, 'send'>;
    open(): Promise<void>;
  };
}

/** Reads without taking part in any group's progress; nothing is registered under this name. */
const READER_GROUP = 'nestjs-rocketmq-dead-letter-reader';
const POLL_MS = 1_000;
/** Polls in a row that may come back empty before a page is given as it is. */
const PATIENCE = 5;

interface Range {
  readonly queue: MessageQueue;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** The oldest there is. */
  readonly min: number;
}

/**
 * For operators: looks at the dead letters of a group, and sends them again. Looking does not consume them, and
 * redriving does not remove them: brokers keep them for their retention time.
 */
export class DeadLetters {
  /** @internal made by the module */
  constructor(private readonly connections: DeadLetterConnections) {}

  /**
   * A page of them, newest first.
   * @throws RocketMQError `INVALID_ARGUMENT` for a cursor of something else, or what the engine says
   */
  async list(
    group: string,
    { limit = 50, cursor, connection }: DeadLetterPageRequest = {},
  ): Promise<DeadLetterPage> {
    const size = Math.min(500, Math.max(1, Math.floor(limit)));
    const used = this.connections.get(connection);
    await used.open();
    const { client } = used;
    const topic = deadLetterTopicOf(group);
    if (!(await client.admin.topicExists(topic))) return { items: [], next: undefined };
    const reader = client.createPullConsumer({ group: READER_GROUP, autoCommit: false, pollBatchSize: 32 });
    await reader.start();
    try {
      const ends = cursor === undefined ? undefined : parseCursor(cursor);
      const ranges = await this.ranges(client, await reader.queues(topic), topic, size, ends);
      const messages = (await read(reader, ranges)).sort((a, b) => b.storeTimestamp - a.storeTimestamp);
      const page = messages.slice(0, size);
      return { items: page.map((message) => toDeadLetter(group, message)), next: nextCursor(ranges, page) };
    } finally {
      await reader.close();
    }
  }

  /** Looks for one of them, from the newest to the oldest. */
  async find(
    group: string,
    messageId: string,
    { connection }: Pick<DeadLetterPageRequest, 'connection'> = {},
  ): Promise<DeadLetter | undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.list(group, {
        limit: 500,
        ...(cursor !== undefined && { cursor }),
        ...(connection !== undefined && { connection }),
      });
      const found = page.items.find(({ message }) => message.messageId === messageId);
      if (found !== undefined) return found;
      cursor = page.next;
    } while (cursor !== undefined);
    return undefined;
  }

  /**
   * Sends it again, to its topic and under its message id. Every group of the topic gets it: those that handled it
   * recognise a duplicate if their handlers are idempotent.
   */
  async redrive(
    { message }: DeadLetter,
    { connection }: Pick<DeadLetterPageRequest, 'connection'> = {},
  ): Promise<SendReceipt> {
    const { topic, body, tag, keys, orderingKey, messageId } = message;
    const { [DEAD_LETTER_REASON]: _reason, ...headers } = message.headers;
    return this.connections
      .get(connection)
      .producer.send({ topic, body, tag, keys, orderingKey, messageId, headers });
  }

  private async ranges(
    { admin }: Pick<RocketMQClient, 'admin'>,
    queues: readonly MessageQueue[],
    topic: string,
    size: number,
    ends: Readonly<Record<string, number>> | undefined,
  ): Promise<Range[]> {
    const offsets = await admin.offsets(topic);
    return queues.flatMap((queue) => {
      const bounds = offsets.get(keyOf(queue));
      if (bounds === undefined) return [];
      const to = Math.min(ends?.[keyOf(queue)] ?? bounds.max, bounds.max);
      return to > bounds.min ? [{ queue, from: Math.max(bounds.min, to - size), to, min: bounds.min }] : [];
    });
  }
}

/** Every message of the ranges. */
async function read(reader: PullConsumer, ranges: readonly Range[]): Promise<ReceivedMessage[]> {
  const messages: ReceivedMessage[] = [];
  if (ranges.length === 0) return messages;
  await reader.assign(ranges.map(({ queue }) => queue));
  for (const { queue, from } of ranges) await reader.seek(queue, from);
  const left = new Map(ranges.map(({ queue, to }) => [keyOf(queue), to - 1]));
  for (let empty = 0; left.size > 0 && empty < PATIENCE;) {
    const batch = await reader.poll(POLL_MS);
    empty = batch.length === 0 ? empty + 1 : 0;
    for (const message of batch) {
      const last = ranges.find(({ queue }) => keyOf(queue) === keyOf(message));
      if (last === undefined || message.queueOffset >= last.to) continue;
      messages.push(message);
      if (message.queueOffset >= last.to - 1) left.delete(keyOf(message));
    }
  }
  return messages;
}

function keyOf({ brokerName, queueId }: Pick<MessageQueue, 'brokerName' | 'queueId'>): string {
  return `${brokerName}:${queueId}`;
}

function toDeadLetter(group: string, message: ReceivedMessage): DeadLetter {
  return { group, reason: message.headers[DEAD_LETTER_REASON], message };
}

/** The next page ends, per queue, where this one begins. */
function nextCursor(ranges: readonly Range[], page: readonly ReceivedMessage[]): string | undefined {
  const ends = ranges.map(({ queue, to, min }) => {
    const offsets = page
      .filter((message) => keyOf(message) === keyOf(queue))
      .map(({ queueOffset }) => queueOffset);
    // Of a queue that gave nothing to this page, everything is still to come.
    return { key: keyOf(queue), end: offsets.length === 0 ? to : Math.min(...offsets), min };
  });
  if (page.length === 0 || !ends.some(({ end, min }) => end > min)) return undefined;
  const offsets = Object.fromEntries(ends.map(({ key, end }) => [key, end]));
  return Buffer.from(JSON.stringify(offsets)).toString('base64url');
}

function parseCursor(cursor: string): Readonly<Record<string, number>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (typeof value === 'object' && value !== null) return value as Record<string, number>;
  } catch {
    // Told below.
  }
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    'The cursor is not one of a dead-letter page. Pass the `next` of the page before.',
  );
}
