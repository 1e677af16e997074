import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager, Logger } from 'typeorm';
import type { Producer } from '../../lib/client/producer.js';
import { runInTransaction } from '../../lib/database/own-transaction.js';
import type { BenchContext } from '../context.js';
import type { BenchDatabase, Schema } from '../databases.js';
import { figureOf, interleave, keepInFlight, timed, type Contender, type Figure } from '../measure.js';
import { differenceTarget, medianOf, OURS, type Area } from '../report.js';
import { outboxOn, PAYLOAD } from './backlog.js';
import { prepareStatusColumn, saveEvent } from './status-column.js';

const PLAIN = 'the business row alone';
/** The floor: a statement that does nothing, by TypeORM. What is above it is the message's. */
const FLOOR = 'with SELECT 1';
const BY_HAND = 'with an INSERT by hand';
const STATUS_COLUMN = 'with save() of an event';

/** What a message adds to the transaction that writes it. Nobody sends meanwhile. */
export async function benchBusinessTransaction(
  { plan, progress }: BenchContext,
  database: BenchDatabase,
): Promise<Area> {
  progress(`business transaction on ${database.name}`);
  const schema = await database.create();
  const { dataSource } = schema;
  await prepareStatusColumn(dataSource);
  await createBusinessTable(schema);
  const { outbox } = outboxOn(dataSource, {} as Producer, { relay: false });
  const writes: readonly (readonly [string, (tx: EntityManager) => Promise<unknown>])[] = [
    [OURS, (tx) => outbox.send(tx, 'orders', PAYLOAD)],
    [PLAIN, () => Promise.resolve()],
    [FLOOR, (tx) => tx.query('SELECT 1')],
    [BY_HAND, (tx) => insertByHand(schema, tx)],
    [STATUS_COLUMN, (tx) => saveEvent(tx, 'orders', PAYLOAD)],
  ];
  const once = (write: (tx: EntityManager) => Promise<unknown>): Promise<void> =>
    runInTransaction(dataSource, async (tx) => {
      await writeBusinessRow(schema, tx);
      await write(tx);
    });
  try {
    const contenders = writes.map(([name, write]): Contender => ({
      name,
      round: (ms) => timed(() => keepInFlight(1, ms, () => once(write))),
    }));
    // Many short rounds: what disturbs one of them does not decide.
    const short = { ...plan, rounds: plan.rounds * 5, roundMs: plan.roundMs / 4 };
    const cpu = (await interleave(contenders, short, 'cpu')).map((each) => ({
      ...each,
      cpuMicros: undefined,
    }));
    const trips: Figure[] = [];
    for (const [name, write] of writes) {
      trips.push(figureOf(name, [await countStatements(dataSource, () => once(write))]));
    }
    return {
      title: `Outbox on ${database.name}: cost in the business transaction`,
      unit: 'round trips; us of CPU',
      rows: [
        { what: 'round trips', figures: trips, targets: [differenceTarget(trips, OURS, PLAIN, 1)] },
        {
          what: "us of this process's CPU",
          figures: cpu,
          targets: [differenceTarget(cpu, OURS, PLAIN, 100)],
        },
      ],
      notes: [
        `A further statement by TypeORM costs ${(medianOf(cpu, FLOOR) - medianOf(cpu, PLAIN)).toFixed(0)} us of CPU here, whatever it does: the floor of any outbox in the business transaction. The message itself adds ${(medianOf(cpu, OURS) - medianOf(cpu, FLOOR)).toFixed(0)} us: checks, id, serialization, a larger statement, what is remembered until the commit. The dispatch after the commit is not in it: the relay does not run.`,
      ],
    };
  } finally {
    await schema.drop();
  }
}

/** The least that leaves the same row: no checks, no headers, no dispatch after the commit. */
async function insertByHand({ sql, type }: Schema, tx: EntityManager): Promise<void> {
  const id = randomUUID();
  await tx.query(
    sql(
      'INSERT INTO rmq_outbox (lane, message_id, topic, body, created_at) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)',
    ),
    [
      1,
      type === 'postgres' ? id : Buffer.from(id.replaceAll('-', ''), 'hex'),
      'orders',
      Buffer.from(JSON.stringify(PAYLOAD)),
    ],
  );
}

/** A row of the application's own. */
export async function createBusinessTable({ dataSource, sql }: Schema): Promise<void> {
  await dataSource.query(
    sql('CREATE TABLE bench_order (id varchar(40) PRIMARY KEY, quantity integer NOT NULL)'),
  );
}

let order = 0;

export async function writeBusinessRow({ sql }: Pick<Schema, 'sql'>, tx: EntityManager): Promise<void> {
  await tx.query(sql('INSERT INTO bench_order (id, quantity) VALUES ($1, $2)'), [`order-${++order}`, 3]);
}

/** Statements are round trips: the driver waits for each answer. */
export async function countStatements(dataSource: DataSource, work: () => Promise<unknown>): Promise<number> {
  let statements = 0;
  const before = dataSource.logger;
  const counting = { ...silent, logQuery: () => void statements++ };
  Object.assign(dataSource, { logger: counting });
  try {
    await work();
  } finally {
    Object.assign(dataSource, { logger: before });
  }
  return statements;
}

const silent: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};
