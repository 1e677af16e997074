import type { DataSource } from 'typeorm';
import type { Producer } from '../../lib/client/producer.js';
import { runInTransaction } from '../../lib/database/own-transaction.js';
import { RocketMQEvents } from '../../lib/observability/rocketmq-events.js';
import { createOutbox, createOutboxStore, type OutboxFeature } from '../../lib/outbox/create-outbox.js';
import type { OutboxOptions } from '../../lib/outbox/outbox-options.js';
import { timed, type Round } from '../measure.js';

/** About 500 bytes of JSON, as an order event has them. */
export const PAYLOAD = { id: 'order-1', note: 'x'.repeat(470) };

/** Rows written with one statement. */
const CHUNK = 500;
/** Statements of a transaction. */
const CHUNKS = 10;

/** The ordering key of the n-th row. */
export type KeyOf = (index: number) => string | undefined;

export const keyless: KeyOf = () => undefined;

export function keys(count: number): KeyOf {
  return (index) => `key-${index % count}`;
}

/** Every tenth row has the same key, the others one of 1,000. */
export const hotKey: KeyOf = (index) => (index % 10 === 0 ? 'hot' : `key-${index % 1_000}`);

/** An outbox on these tables, with its events. Errors of the relay end the bench. */
export function outboxOn(
  dataSource: DataSource,
  producer: Producer,
  options: OutboxOptions = {},
): OutboxFeature & { readonly events: RocketMQEvents } {
  const events = new RocketMQEvents();
  events.on('outbox.error', ({ phase, error }) => console.error(`outbox.error ${phase}`, error));
  return { ...createOutbox({ dataSource, producer, events, options }), events };
}

/** Writes rows that nobody sends yet, as the application writes them. */
export async function fill(
  dataSource: DataSource,
  topic: string,
  count: number,
  keyOf: KeyOf = keyless,
): Promise<void> {
  const { outbox } = outboxOn(dataSource, noProducer, { relay: false });
  for (let first = 0; first < count; first += CHUNK * CHUNKS) {
    await runInTransaction(dataSource, async (tx) => {
      const end = Math.min(count, first + CHUNK * CHUNKS);
      for (let from = first; from < end; from += CHUNK) {
        const entries = Array.from({ length: Math.min(CHUNK, end - from) }, (_, index) => {
          const orderingKey = keyOf(from + index);
          return { destination: topic, payload: PAYLOAD, ...(orderingKey && { options: { orderingKey } }) };
        });
        await outbox.sendAll(tx, entries);
      }
    });
  }
}

const noProducer = {
  send: () => Promise.reject(new Error('This outbox does not send')),
} as unknown as Producer;

/** Sends `count` rows that are there already; the time from the start of the relay to the last removal. */
export async function drain(
  dataSource: DataSource,
  producer: Producer,
  count: number,
  options: OutboxOptions = {},
): Promise<Round> {
  const { relay, events } = outboxOn(dataSource, producer, options);
  let settled = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  events.on('outbox.settled', (event) => {
    settled += event.count;
    if (settled >= count) done();
  });
  const round = await timed(async () => {
    await relay.start();
    await finished;
    return settled;
  });
  await relay.drain(5_000);
  return round;
}

/** What the relay does in the database for `count` rows, and nothing else: read lanes in order, remove. */
export async function laneSqlAlone(dataSource: DataSource, count: number): Promise<Round> {
  const store = createOutboxStore(dataSource, 'rmq_');
  const cursors = Array.from({ length: await store.lanes() }, (_, lane) => ({ lane, after: 0 }));
  // As the relay's defaults: 10,000 rows in memory over all lanes, half of 512 removed at a time.
  const perLane = Math.min(500, Math.max(16, Math.floor(10_000 / cursors.length)));
  const round = await timed(async () => {
    let done = 0;
    while (done < count) {
      const rows = await store.fetch(cursors, perLane, 1024 * 1024);
      if (rows.length === 0) break;
      for (const { lane, id } of rows) {
        const cursor = cursors[lane];
        if (cursor !== undefined && id > cursor.after) cursor.after = id;
      }
      for (let from = 0; from < rows.length; from += 256)
        await store.settle(rows.slice(from, from + 256), false);
      done += rows.length;
    }
    return done;
  });
  await store.close();
  return round;
}
