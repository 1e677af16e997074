import type { DataSource } from 'typeorm';
import type { AfterQueryEvent } from 'typeorm/subscriber/event/QueryEvent.js';
import { MysqlInboxStore } from '../../lib/idempotency/mysql-inbox-store.js';
import { PostgresInboxStore } from '../../lib/idempotency/postgres-inbox-store.js';
import { sqlJobLease } from '../../lib/database/sql-job-lease.js';
import { createOutboxStore } from '../../lib/outbox/create-outbox.js';
import type { NewOutboxRow } from '../../lib/outbox/outbox-row.js';
import { MysqlTransactionLog } from '../../lib/transaction/mysql-transaction-log.js';
import { PostgresTransactionLog } from '../../lib/transaction/postgres-transaction-log.js';

/** A statement as a release sends it, and how many rows it returned or changed. */
export interface ReleasedStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly rows: number;
}

/** Lanes of the database the statements are for. */
export const RELEASED_LANES = 2;

/** Every kind of statement this release sends to its tables, on a database nobody has used before. */
export async function recordStatements(dataSource: DataSource): Promise<readonly ReleasedStatement[]> {
  return watched(dataSource, async () => {
    await useOutbox(dataSource);
    await useInbox(dataSource);
    await useTransactionLog(dataSource);
    await sqlJobLease(dataSource, 'rmq_').acquire('job', 'a', 60_000);
  });
}

/** Sends the statements again, one after the other. Resolves with those whose number of rows was another. */
export async function replayStatements(
  dataSource: DataSource,
  statements: readonly ReleasedStatement[],
): Promise<readonly string[]> {
  const queryRunner = dataSource.createQueryRunner();
  const again = await watched(dataSource, async () => {
    for (const { sql, parameters } of statements) await queryRunner.query(sql, parameters.map(fromJson));
  });
  await queryRunner.release();
  return statements.flatMap(({ sql, rows }, n) =>
    again[n]?.rows === rows ? [] : [`${rows} rows then, ${again[n]?.rows} now: ${sql}`],
  );
}

async function watched(dataSource: DataSource, work: () => Promise<void>): Promise<ReleasedStatement[]> {
  const statements: ReleasedStatement[] = [];
  const recorder = {
    afterQuery({ query, parameters, rawResults }: AfterQueryEvent) {
      const list = (parameters ?? []) as unknown[];
      statements.push({ sql: query, parameters: list.map(toJson), rows: rowsOf(rawResults) });
    },
  };
  dataSource.subscribers.push(recorder);
  try {
    await work();
  } finally {
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(recorder), 1);
  }
  return statements;
}

function row(n: number, orderingKey?: string): NewOutboxRow {
  return {
    lane: n % RELEASED_LANES,
    messageId: n.toString(16).padStart(32, '0').toUpperCase(),
    topic: 'orders',
    tag: 'created',
    orderingKey,
    keys: ['a', 'b'],
    headers: { tenant: 'a' },
    body: Buffer.from('{}'),
    delayLevel: undefined,
    delayMs: n === 5 ? 60_000 : undefined,
    deliverAt: undefined,
    connection: undefined,
    sequence: undefined,
  };
}

async function useOutbox(dataSource: DataSource): Promise<void> {
  const store = createOutboxStore(dataSource, 'rmq_');
  await store.renew('a', [], 60_000);
  await store.survey();
  const leases = await store.acquire('a', RELEASED_LANES, 60_000);
  await dataSource.transaction(async (tx) => {
    await store.lanes(tx);
    await store.nextSequences(tx, new Map([['k', 2]]));
    await store.insert(tx, [row(1)]);
    await store.insert(tx, [row(2), row(3, 'k'), row(4), row(5, 'k'), row(7, 'k'), row(9)]);
  });
  const lane = leases.find((lease) => lease.lane === 1) ?? { lane: 1, epoch: 1 };
  const rows = await store.fetch(
    [
      { lane: 0, after: 0 },
      { lane: 1, after: 0 },
    ],
    100,
    1_000_000,
  );
  const keyed = rows.filter(({ orderingKey }) => orderingKey === 'k').map(({ id }) => id);
  const keyless = rows.filter(({ orderingKey }) => orderingKey === undefined);
  await store.overtaken([{ lane: 1, after: 0, upto: 4 }], ['k'], keyed.slice(0, 1));
  await store.settle(keyless.slice(0, 2), false);
  await store.settle(keyless.slice(2), true);
  const [first = 0, ...later] = keyed;
  const behind = later.map((id) => ({ id, state: 'behind' as const, attempts: 0 }));
  await store.park(
    lane,
    [{ id: first, state: 'retry', delayMs: 0, attempts: 1, error: 'Error: no' }, ...behind],
    'block',
  );
  await store.blockedKeys([0, 1], 'block');
  await store.dueLanes([0, 1]);
  await store.unpark(lane, 100);
  await store.park(lane, [{ id: first, state: 'dead', attempts: 2, error: 'Error: no' }], 'skip');
  await store.sweepHistory(60_000, 100);
  await store.renew('a', [{ ...lane, pending: 2, more: false, oldestAgeMs: 5 }], 60_000);
  await store.release('a', leases);
  await store.leave('a');
  await store.close();
}

async function useInbox(dataSource: DataSource): Promise<void> {
  const Store = dataSource.options.type === 'postgres' ? PostgresInboxStore : MysqlInboxStore;
  const store = new Store(dataSource, 'rmq_');
  const keys = [1, 2, 3].map((n) => n.toString(16).padStart(32, '0'));
  const group = await store.groupId('group');
  await dataSource.transaction(async (tx) => {
    await store.record(tx, group, keys, 1_000);
    await store.count(tx, group, keys);
    await store.forget(tx, group, keys.slice(2));
  });
  await dataSource.transaction((tx) => store.leased(tx, group, keys));
  const leased = 'f'.repeat(32);
  const claim = await store.claim(group, leased, 60_000);
  const epoch = claim.state === 'claimed' ? claim.epoch : 0;
  await store.claim(group, leased, 60_000);
  await store.extend(group, leased, epoch, 60_000);
  await store.complete(group, leased, epoch);
  await store.release(group, leased, epoch);
  await store.sweep(60_000, 100);
}

async function useTransactionLog(dataSource: DataSource): Promise<void> {
  const Log = dataSource.options.type === 'postgres' ? PostgresTransactionLog : MysqlTransactionLog;
  const log = new Log(dataSource, 'rmq_');
  const [committed, never] = ['a', 'b'].map((digit) => digit.repeat(32)) as [string, string];
  await dataSource.transaction(async (tx) => {
    await log.begin(tx, committed, 'committed');
    await log.has(tx, committed);
  });
  await log.look(committed);
  await log.decide(committed, 500);
  await log.decide(never, 500);
  await log.sweep(60_000, 100);
}

/** node-postgres answers with a result, mysql2 with rows or a header. */
function rowsOf(raw: unknown): number {
  if (Array.isArray(raw)) return raw.length;
  const { rowCount, affectedRows } = (raw ?? {}) as { rowCount?: number | null; affectedRows?: number };
  return rowCount ?? affectedRows ?? 0;
}

function toJson(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  return Array.isArray(value) ? value.map(toJson) : value;
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === 'object' && value !== null && 'hex' in value)
    return Buffer.from(String(value.hex), 'hex');
  return value;
}
