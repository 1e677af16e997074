import type { DataSource } from 'typeorm';
import type { Producer } from '../../lib/client/producer.js';
import type { BenchContext, Broker } from '../context.js';
import type { BenchDatabase, Schema } from '../databases.js';
import { figureOf } from '../measure.js';
import { until } from '../until.js';
import { OURS, ratioTarget, type Area, type Row } from '../report.js';
import { drain, fill, outboxOn, PAYLOAD } from './backlog.js';

const FIVE_MILLION = 5_000_000;
const TEN_MINUTES = 600_000;
const BASE = 'the same without';

/** What a long life brings: five million pending rows, and a transaction that stays open for ten minutes. PostgreSQL. */
export async function benchLongRuns(context: BenchContext, database: BenchDatabase): Promise<Area> {
  const broker = await context.broker();
  const producer = broker.client.createProducer({ group: 'bench-outbox', compressAboveBytes: Infinity });
  await producer.start();
  const pending = context.plan.quick ? 20_000 : FIVE_MILLION;
  const idleMs = context.plan.quick ? 3_000 : TEN_MINUTES;
  try {
    return {
      title: `Outbox on ${database.name}: long runs`,
      unit: 'messages/s',
      rows: [
        await manyPending(context, broker, producer, await database.create(), pending),
        await idleTransaction(context, broker, producer, await database.create(), idleMs),
      ],
    };
  } finally {
    await producer.close();
  }
}

/** The rate of the first half minute of a large backlog, against that of a small one. */
async function manyPending(
  { progress, plan }: BenchContext,
  broker: Broker,
  producer: Producer,
  schema: Schema,
  pending: number,
): Promise<Row> {
  try {
    const topic = await broker.topic();
    const small = plan.quick ? 2_000 : 50_000;
    await fill(schema.dataSource, topic, small);
    const before = await drain(schema.dataSource, producer, small);
    progress(`writing ${pending.toLocaleString('en-US')} rows`);
    await insertRows(schema.dataSource, topic, pending);
    await schema.dataSource.query('ANALYZE rmq_outbox');
    progress('draining');
    const { relay, events } = outboxOn(schema.dataSource, producer);
    let settled = 0;
    events.on('outbox.settled', ({ count }) => (settled += count));
    const started = performance.now();
    await relay.start();
    await until(() => settled >= pending || performance.now() - started > 30_000);
    const elapsedMs = performance.now() - started;
    await relay.drain(5_000);
    const figures = [
      figureOf(OURS, [(settled * 1000) / elapsedMs]),
      figureOf(BASE, [(before.operations * 1000) / before.elapsedMs]),
    ];
    return {
      what: `${pending.toLocaleString('en-US')} rows pending`,
      figures,
      targets: [ratioTarget(figures, OURS, BASE, { atLeast: 0.7 })],
    };
  } finally {
    await schema.drop();
  }
}

/** Keyless rows over all lanes, with one statement. */
async function insertRows(dataSource: DataSource, topic: string, count: number): Promise<void> {
  await dataSource.query(
    `INSERT INTO rmq_outbox (lane, message_id, topic, body)
     SELECT (n / 64) % 64, gen_random_uuid(), $1, $2 FROM generate_series(1, $3) AS n`,
    [topic, Buffer.from(JSON.stringify(PAYLOAD)), count],
  );
}

/** Rows are written and sent all the time while a transaction keeps every removed row from being cleaned up. */
async function idleTransaction(
  { progress, plan }: BenchContext,
  broker: Broker,
  producer: Producer,
  schema: Schema,
  idleMs: number,
): Promise<Row> {
  const { dataSource } = schema;
  const rows = plan.quick ? 2_000 : 20_000;
  const topic = await broker.topic();
  // One relay all the time, as in an application; it looks often, so that looking is not what is measured.
  const { relay, events } = outboxOn(dataSource, producer, { pollMaxMs: 20 });
  let settled = 0;
  events.on('outbox.settled', ({ count }) => (settled += count));
  await relay.start();
  await until(() => relay.ownedLanes.length === 64);
  /** Rows per second from the commit of many to the removal of the last. */
  const cycle = async (): Promise<number> => {
    const goal = settled + rows;
    await insertRows(dataSource, topic, rows);
    const started = performance.now();
    await until(() => settled >= goal);
    return (rows * 1000) / (performance.now() - started);
  };
  const idle = dataSource.createQueryRunner();
  try {
    const before: number[] = [];
    for (let warm = 0; warm < 4; warm++) before.push(await cycle());
    progress(`an idle transaction of ${idleMs / 1000} s`);
    await idle.startTransaction('REPEATABLE READ');
    await idle.query('SELECT count(*) FROM rmq_outbox');
    const during: number[] = [];
    const end = performance.now() + idleMs;
    while (performance.now() < end) during.push(await cycle());
    await idle.rollbackTransaction();
    const figures = [figureOf(OURS, during.slice(-5)), figureOf(BASE, before.slice(1))];
    return {
      what: `an idle transaction, after ${idleMs / 60_000} min`,
      figures,
      targets: [ratioTarget(figures, OURS, BASE, { atLeast: 0.7 })],
    };
  } finally {
    await idle.release();
    await relay.drain(5_000);
    await schema.drop();
  }
}
