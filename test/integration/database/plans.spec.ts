import type { DataSource } from 'typeorm';
import type { BeforeQueryEvent } from 'typeorm/subscriber/event/QueryEvent.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MysqlInboxStore } from '../../../lib/idempotency/mysql-inbox-store.js';
import { PostgresInboxStore } from '../../../lib/idempotency/postgres-inbox-store.js';
import { MysqlTransactionLog } from '../../../lib/transaction/mysql-transaction-log.js';
import { PostgresTransactionLog } from '../../../lib/transaction/postgres-transaction-log.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';

const ROWS = 100_000;
/** Swept at once: so small a part of the table as the usual 5,000 rows are of millions. */
const OLD = 100;
const SERVERS = databaseNames().filter((name) => name !== 'sqlite');

interface Statement {
  readonly query: string;
  readonly parameters: unknown[];
}

describe.each(SERVERS)('plans of inbox and transaction log over 100,000 rows, on %s', (name) => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: 4 });
    ({ dataSource } = database);
    await fill(dataSource, name);
  }, 120_000);
  afterAll(() => database.drop());

  const statementsOf = async (work: () => Promise<unknown>): Promise<Statement[]> => {
    const statements: Statement[] = [];
    const watcher = {
      beforeQuery: ({ query, parameters }: BeforeQueryEvent) =>
        void statements.push({ query, parameters: (parameters ?? []) as unknown[] }),
    };
    dataSource.subscribers.push(watcher);
    try {
      await work();
    } finally {
      dataSource.subscribers.splice(dataSource.subscribers.indexOf(watcher), 1);
    }
    // An INSERT finds its place in the primary key.
    return statements.filter(
      ({ query }) => /rmq_(inbox|transaction_log)\b/.test(query) && !/^\s*(SET STATEMENT|INSERT)/.test(query),
    );
  };
  /** Tables that would be read from end to end. */
  const scans = async ({ query, parameters }: Statement): Promise<string[]> => {
    if (name === 'postgres') {
      const plan = await dataSource.query<unknown[]>(`EXPLAIN (FORMAT JSON) ${query}`, parameters);
      return JSON.stringify(plan).match(/"Node Type":"Seq Scan"[^{}]*"Relation Name":"rmq_\w+"/g) ?? [];
    }
    const rows = await dataSource.query<Record<string, unknown>[]>(`EXPLAIN ${query}`, parameters);
    return rows
      .filter(
        ({ type, table }) => ['ALL', 'index'].includes(String(type)) && String(table).startsWith('rmq_'),
      )
      .map((row) => JSON.stringify(row));
  };
  const expectNoScan = async (work: () => Promise<unknown>): Promise<void> => {
    const statements = await statementsOf(work);
    expect(statements.length).toBeGreaterThan(0);
    for (const statement of statements) expect(await scans(statement), statement.query).toEqual([]);
  };

  it('the inbox looks up what it is asked about, and walks an index for what is old', async () => {
    const store = new (name === 'postgres' ? PostgresInboxStore : MysqlInboxStore)(dataSource, 'rmq_');
    const keys = Array.from({ length: 32 }, (_, n) => n.toString(16).padStart(32, '0'));
    await expectNoScan(() =>
      dataSource.transaction(async (tx) => {
        await store.record(tx, 1, keys, 1_000);
        await store.leased(tx, 1, keys);
        await store.count(tx, 1, keys);
        await store.forget(tx, 1, keys.slice(0, 3));
      }),
    );
    const leased = 'f'.repeat(32);
    await expectNoScan(async () => {
      const claim = await store.claim(1, leased, 60_000);
      const epoch = claim.state === 'claimed' ? claim.epoch : 0;
      await store.claim(1, leased, 60_000);
      await store.extend(1, leased, epoch, 60_000);
      await store.complete(1, leased, epoch);
      await store.release(1, leased, epoch);
    });
    await expectNoScan(() => store.sweep(3_600_000, OLD));
  });

  it('the transaction log as well', async () => {
    const log = new (name === 'postgres' ? PostgresTransactionLog : MysqlTransactionLog)(dataSource, 'rmq_');
    await expectNoScan(async () => {
      await log.look('a'.repeat(32));
      await log.decide('b'.repeat(32), 500);
      await log.decide('b'.repeat(32), 500);
    });
    await expectNoScan(() => log.sweep(3_600_000, OLD));
  });
});

/** A hundredth of them an hour old and more. */
async function fill(dataSource: DataSource, name: string): Promise<void> {
  await dataSource.query("INSERT INTO rmq_inbox_group (name) VALUES ('group')");
  if (name === 'postgres') {
    const age = "CASE WHEN n % 100 = 0 THEN interval '2 hours' ELSE interval '1 second' END";
    await dataSource.query(
      `INSERT INTO rmq_inbox (group_id, message_key, created_at)
       SELECT 1, gen_random_uuid(), now() - ${age} FROM generate_series(1, ${ROWS}) n`,
    );
    await dataSource.query(
      `INSERT INTO rmq_transaction_log (id, outcome, created_at)
       SELECT gen_random_uuid(), 'C', now() - ${age} FROM generate_series(1, ${ROWS}) n`,
    );
    await dataSource.query('ANALYZE');
    return;
  }
  const created = 'UTC_TIMESTAMP(6) - INTERVAL IF(n % 100 = 0, 7200, 1) SECOND';
  const numbers = `WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < ${ROWS})`;
  const limit = `SET STATEMENT max_recursive_iterations = ${ROWS + 1} FOR`;
  await dataSource.query(
    `${limit} INSERT INTO rmq_inbox (group_id, message_key, epoch, created_at)
     ${numbers} SELECT 1, UNHEX(MD5(n)), 0, ${created} FROM r`,
  );
  await dataSource.query(
    `${limit} INSERT INTO rmq_transaction_log (id, outcome, created_at)
     ${numbers} SELECT UNHEX(MD5(n)), 'C', ${created} FROM r`,
  );
  await dataSource.query('ANALYZE TABLE rmq_inbox, rmq_transaction_log');
}
