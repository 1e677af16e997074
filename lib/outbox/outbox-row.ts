import type { Message } from '../message/message.js';

/** A row about to be written. */
export interface NewOutboxRow {
  readonly lane: number;
  /** 32 upper-case hex digits; becomes the message's unique key, so that a resend keeps its identity. */
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly orderingKey: string | undefined;
  readonly keys: readonly string[] | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly body: Buffer;
  readonly delayLevel: number | undefined;
  /** Added to the database's clock when the row is written. */
  readonly delayMs: number | undefined;
  /** Epoch milliseconds. */
  readonly deliverAt: number | undefined;
  /** Name of the connection to send over; undefined is the default one. */
  readonly connection: string | undefined;
  /** Place among the messages of the ordering key, in strict order only. */
  readonly sequence: number | undefined;
}

/** What the database added to a row when it was written. */
export interface WrittenOutboxRow {
  readonly id: number;
  /**
   * Whether id and delivery time are those of this row. False where the database does not say: the id is not above
   * the row's then, and the row has to be read.
   */
  readonly exact: boolean;
  /** Epoch milliseconds: a relative delay was added to the database's clock. */
  readonly deliverAt: number | undefined;
}

/** A row as the relay sees it. */
export interface OutboxRow {
  readonly lane: number;
  /** Never reused for another message; keeps its value while a row is parked. */
  readonly id: number;
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly orderingKey: string | undefined;
  readonly keys: readonly string[] | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly body: Buffer;
  readonly delayLevel: number | undefined;
  readonly deliverAt: number | undefined;
  readonly connection: string | undefined;
  readonly attempts: number;
  /** How long ago it was written, by the database's clock, when it was read. */
  readonly ageMs: number;
}

/** The row that is in the table after this one was written. Spelled out: this runs for every message, and copies cost. */
export function toWrittenRow(row: NewOutboxRow, { id, deliverAt }: WrittenOutboxRow): OutboxRow {
  return {
    lane: row.lane,
    id,
    messageId: row.messageId,
    topic: row.topic,
    tag: row.tag,
    orderingKey: row.orderingKey,
    keys: row.keys,
    headers: row.headers,
    body: row.body,
    delayLevel: row.delayLevel,
    deliverAt,
    connection: row.connection,
    attempts: 0,
    ageMs: 0,
  };
}

/** The message a row stands for. A delivery time that has passed is left out. */
export function toMessage(row: OutboxRow, now: number): Message {
  return {
    topic: row.topic,
    tag: row.tag,
    keys: row.keys,
    headers: row.headers,
    orderingKey: row.orderingKey,
    body: row.body,
    messageId: row.messageId,
    delivery:
      row.delayLevel !== undefined
        ? { level: row.delayLevel }
        : row.deliverAt !== undefined && row.deliverAt > now
          ? { at: row.deliverAt }
          : undefined,
  };
}

/** Whether it may share a broker batch: brokers refuse delayed messages there, and order is kept one by one. */
export function isBatchable(row: OutboxRow): boolean {
  return row.orderingKey === undefined && row.delayLevel === undefined && row.deliverAt === undefined;
}

/** A row of a transaction that is being committed; see {@link WrittenOutboxRow.exact}. */
export interface CommittedRow {
  readonly row: OutboxRow;
  readonly exact: boolean;
}
