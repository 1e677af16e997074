import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import type { BeforeQueryEvent } from 'typeorm/subscriber/event/QueryEvent.js';
import { createOutboxStore } from '../../../lib/outbox/create-outbox.js';
import type { OutboxStore } from '../../../lib/outbox/outbox-store.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';

const LANES = 16;
const ROWS = 100_000;

interface Statement {
  readonly query: string;
  readonly parameters: unknown[];
}

describe.each(databaseNames())('plans of the relay’s statements over 100,000 rows, on %s', (name) => {
  let database: TestDatabase;
  let store: OutboxStore;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: LANES });
    ({ dataSource } = database);
    store = createOutboxStore(dataSource, 'rmq_');
    await fill(dataSource, name);
    await dataSource.query(
      `INSERT INTO rmq_outbox_parked (id, lane, state, parked_at, message_id, topic, ordering_key, body, attempts, created_at)
       SELECT id + 10000000, lane, 'dead', created_at, message_id, topic, ordering_key, body, 1, created_at
       FROM rmq_outbox WHERE id <= 20000`,
    );
    if (name !== 'sqlite')
      await dataSource.query(name === 'postgres' ? 'ANALYZE' : 'ANALYZE TABLE rmq_outbox_parked');
  }, 120_000);
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  /** What the store asks the database for; SQLite's own statements are not seen by TypeORM. */
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
    return statements.filter(({ query }) => /rmq_outbox(_parked)?\b/.test(query));
  };

  /** Tables of the outbox that a statement would read from end to end. */
  const scans = async ({ query, parameters }: Statement): Promise<string[]> => {
    if (name === 'postgres') {
      const [row] = await dataSource.query<{ 'QUERY PLAN': unknown }[]>(
        `EXPLAIN (FORMAT JSON) ${query}`,
        parameters,
      );
      return seqScans(row?.['QUERY PLAN']);
    }
    if (name === 'sqlite') return sqliteScans(String(dataSource.options.database), query);
    const rows = await dataSource.query<Record<string, unknown>[]>(`EXPLAIN ${query}`, parameters);
    return (
      rows
        // `index` reads the whole index.
        .filter(
          (row) =>
            ['ALL', 'index'].includes(String(row['type'])) &&
            /^(o|t|rmq_outbox.*)$/.test(String(row['table'])),
        )
        .map((row) => String(row['table']))
    );
  };

  const expectNoScan = async (work: () => Promise<unknown>): Promise<void> => {
    const statements = name === 'sqlite' ? await nativeStatementsOf(work) : await statementsOf(work);
    expect(statements.length).toBeGreaterThan(0);
    for (const statement of statements) {
      expect(await scans(statement), statement.query).toEqual([]);
    }
  };

  /** SQLite's statements go to the driver directly. */
  const nativeStatementsOf = async (work: () => Promise<unknown>): Promise<Statement[]> => {
    const native = (dataSource.driver as unknown as { databaseConnection: { prepare(sql: string): unknown } })
      .databaseConnection;
    const statements: Statement[] = [];
    const prepare = native.prepare.bind(native);
    native.prepare = (query) => {
      statements.push({ query, parameters: [] });
      return prepare(query);
    };
    try {
      await work();
    } finally {
      native.prepare = prepare;
    }
    return statements.filter(({ query }) => /rmq_outbox(_parked)?\b/.test(query));
  };

  it('a look walks the index of its lanes', async () => {
    await expectNoScan(() =>
      store.fetch(
        [
          { lane: 3, after: 0 },
          { lane: 5, after: 50_000 },
        ],
        100,
        1_000_000,
      ),
    );
    if (name === 'sqlite') return; // one statement per lane
    await expectNoScan(() =>
      store.fetch(
        Array.from({ length: LANES }, (_, lane) => ({ lane, after: ROWS * 2 })),
        100,
        1_000_000,
      ),
    );
  });

  it('reads rows in order, cut at the number and at the bytes, never none', async () => {
    const some = await store.fetch([{ lane: 3, after: 0 }], 7, 1_000_000);
    expect(some.map(({ id }) => id)).toEqual(some.map(({ id }) => id).toSorted((a, b) => a - b));
    expect(some).toHaveLength(7);
    expect(await store.fetch([{ lane: 3, after: 0 }], 100, 450)).toHaveLength(5); // bodies of 100 bytes
    expect(await store.fetch([{ lane: 3, after: 0 }], 100, 1)).toHaveLength(1);
  });

  it('the question about slower transactions walks the index of its lanes, between two ids', async () => {
    if (name === 'sqlite') return; // asks nobody: transactions come one after the other
    const ranges = [3, 5].map((lane) => ({ lane, after: 50_000, upto: 60_000 }));
    await expectNoScan(() => store.overtaken(ranges, ['k2', 'k4'], [50_001, 50_002]));
    expect(await store.overtaken([{ lane: 2, after: 0, upto: ROWS }], ['k2'], [])).toEqual([2]);
    expect(await store.overtaken([{ lane: 2, after: 0, upto: ROWS }], ['k3'], [])).toEqual([]);
  });

  it('a settlement looks up what it removes', async () => {
    const rows = await store.fetch([{ lane: 3, after: 0 }], 40, 1_000_000);
    await expectNoScan(() => store.settle(rows.slice(0, 20), true));
    if (name !== 'sqlite') await expectNoScan(() => store.settle(rows.slice(20), false)); // part of the other
  });

  it('parking looks up what it moves', async () => {
    const [lease] = await store.acquire('plans', LANES, 60_000);
    const rows = await store.fetch([{ lane: lease?.lane ?? 0, after: 0 }], 10, 1_000_000);
    const orders = rows.map(({ id }, n) => ({
      id,
      state: n === 0 ? ('retry' as const) : ('behind' as const),
      attempts: 1,
      delayMs: 1,
    }));
    await expectNoScan(() => store.park(lease ?? { lane: 0, epoch: 0 }, orders, 'block'));
    await expectNoScan(() => store.unpark(lease ?? { lane: 0, epoch: 0 }, 10));
  });

  it('stays so when the statistics are from an empty table', async () => {
    if (name !== 'postgres') return;
    await dataSource.query('ALTER TABLE rmq_outbox SET (autovacuum_enabled = false)');
    await dataSource.query('TRUNCATE rmq_outbox');
    await dataSource.query('VACUUM ANALYZE rmq_outbox');
    await fill(dataSource, name, false);
    await expectNoScan(() => store.fetch([{ lane: 3, after: 0 }], 100, 1_000_000));
    const rows = await store.fetch([{ lane: 3, after: 0 }], 200, 1_000_000);
    await expectNoScan(() => store.settle(rows, false));
  });
});

async function fill(dataSource: DataSource, name: string, analyze = true): Promise<void> {
  const columns = 'lane, message_id, topic, ordering_key, body, created_at';
  if (name === 'postgres') {
    await dataSource.query(
      `INSERT INTO rmq_outbox (${columns})
       SELECT n % ${LANES}, gen_random_uuid(), 'orders', CASE WHEN n % 2 = 0 THEN 'k' || n % 1000 END, decode(repeat('ab', 100), 'hex'), now()
       FROM generate_series(1, ${ROWS}) n`,
    );
    if (analyze) await dataSource.query('ANALYZE rmq_outbox');
    return;
  }
  const [bytes, now] = name === 'sqlite' ? ['zeroblob(100)', '0'] : ["REPEAT('a', 100)", 'UTC_TIMESTAMP(6)'];
  const id = name === 'sqlite' ? 'randomblob(16)' : 'UNHEX(MD5(n))';
  const key = name === 'sqlite' ? `'k' || (n % 1000)` : `CONCAT('k', n % 1000)`;
  const numbers = `WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < ${ROWS})`;
  const select = `SELECT n % ${LANES}, ${id}, 'orders', CASE WHEN n % 2 = 0 THEN ${key} END, ${bytes}, ${now} FROM r`;
  if (name === 'mariadb')
    await dataSource.query(
      `SET STATEMENT max_recursive_iterations = ${ROWS + 1} FOR INSERT INTO rmq_outbox (${columns}) ${numbers} ${select}`,
    );
  else await dataSource.query(`INSERT INTO rmq_outbox (${columns}) ${numbers} ${select}`);
  await dataSource.query(name === 'sqlite' ? 'ANALYZE' : 'ANALYZE TABLE rmq_outbox');
}

function seqScans(plan: unknown): string[] {
  if (Array.isArray(plan)) return plan.flatMap(seqScans);
  if (typeof plan !== 'object' || plan === null) return [];
  const node = plan as Record<string, unknown>;
  const here =
    node['Node Type'] === 'Seq Scan' &&
    String(node['Relation Name']).startsWith('rmq_outbox') &&
    node['Relation Name'] !== 'rmq_outbox_lane'
      ? [String(node['Relation Name'])]
      : [];
  return [...here, ...Object.values(node).flatMap(seqScans)];
}

/** On a connection of its own: an explained statement may stay open, and the connection could not commit then. */
function sqliteScans(file: string, query: string): string[] {
  const Database = createRequire(import.meta.url)('libsql') as new (path: string) => {
    prepare(sql: string): { all(parameters: readonly unknown[]): { readonly detail: string }[] };
    close(): void;
  };
  const connection = new Database(file);
  try {
    return connection
      .prepare(`EXPLAIN QUERY PLAN ${query}`)
      .all(Array.from(query.matchAll(/\?/g), () => 1))
      .map(({ detail }) => detail)
      .filter((detail) => /^SCAN (rmq_outbox|o\b|b\b)/.test(detail) && !detail.includes(' USING '));
  } finally {
    connection.close();
  }
}
