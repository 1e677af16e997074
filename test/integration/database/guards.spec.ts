import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../../lib/client/clock.js';
import { SqlSession } from '../../../lib/database/sql-session.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { emptyOutbox, OutboxHarness } from '../../support/outbox-harness.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 4;

/** The machine's time, so much off. Time passes as everywhere. */
const clockOff = (ms: number): Clock => ({ ...systemClock, now: () => Date.now() + ms });

describe.each(databaseNames())('on %s', (name) => {
  let database: TestDatabase;
  const harness = new OutboxHarness();

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: LANES });
  });
  afterEach(async () => {
    await harness.stop();
    await emptyOutbox(database.dataSource);
  });
  afterAll(() => database.drop());

  it('the outbox refuses a transaction of another DataSource', async () => {
    const other = await createDatabase(name, { lanes: LANES });
    try {
      const { outbox, pending } = harness.create(database.dataSource);
      const sent = other.dataSource.transaction((tx) => outbox.send(tx, 'orders', 1));
      await expect(sent).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('another DataSource') as unknown,
      });
      expect(await pending()).toBe(0);
    } finally {
      await other.drop();
    }
  });

  it('the plain SQL of the migrations makes tables that work', async () => {
    // They make the same tables.
    for (let n = 0; n < 4; n += 1) await database.dataSource.undoLastMigration();
    const dialect = name === 'mariadb' ? 'mysql' : name;
    const folder = fileURLToPath(new URL(`../../../migrations/sql/${dialect}/`, import.meta.url));
    for (const file of readdirSync(folder).sort()) {
      const statements = readFileSync(`${folder}${file}`, 'utf8').split(/;\n/);
      for (const statement of statements)
        if (statement.trim() !== '') await database.dataSource.query(statement);
    }
    const instance = await harness.startWithLanes(database.dataSource, 64);
    await database.dataSource.transaction((tx) => instance.outbox.send(tx, 'orders', 'plain'));
    await instance.settled();
    expect(instance.producer.bodies).toEqual(['"plain"']);
  });

  if (name === 'sqlite') return;

  it('instances whose clocks are five minutes off share the lanes, and send every row once', async () => {
    const patient = { leaseMs: 30_000 }; // nobody loses a lane on a busy machine
    const behind = await harness.start(database.dataSource, { ...patient, clock: clockOff(-300_000) });
    const ahead = await harness.start(await database.connect(), { ...patient, clock: clockOff(300_000) });
    const lanes = (await behind.metrics.snapshot()).lanes.length;
    await waitFor(
      () => behind.relay.ownedLanes.length === lanes / 2 && ahead.relay.ownedLanes.length === lanes / 2,
    );
    const bodies = Array.from({ length: 100 }, (_, n) => `"${n}"`);
    await database.dataSource.transaction(async (tx) => {
      for (const [n] of bodies.entries()) {
        await behind.outbox.send(tx, 'orders', `${n}`, { orderingKey: `k${n % 40}` });
      }
    });
    await behind.settled();
    expect(behind.producer.bodies.length).toBeGreaterThan(0);
    expect(ahead.producer.bodies.length).toBeGreaterThan(0);
    expect([...behind.producer.bodies, ...ahead.producer.bodies].toSorted()).toEqual(bodies.toSorted());
    const { oldestAgeMs } = await ahead.metrics.snapshot();
    expect(oldestAgeMs ?? 0).toBeLessThan(60_000);
  });

  it('the relay’s connection is READ COMMITTED, and goes back to the pool as it was', async () => {
    const [dialect, level] =
      name === 'postgres'
        ? (['postgres', 'SHOW transaction_isolation'] as const)
        : ([
            'mysql',
            "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",
          ] as const);
    const dataSource = await new DataSource({
      ...database.dataSource.options,
      migrations: [],
      poolSize: 1,
      ...(name === 'postgres' && { extra: { options: '-c default_transaction_isolation=serializable' } }),
    } as DataSourceOptions).initialize();
    try {
      const isolation = (rows: readonly Readonly<Record<string, unknown>>[]): string =>
        String(Object.values(rows[0] ?? {}).at(-1))
          .replace('-', ' ')
          .toLowerCase();
      const before = isolation(await dataSource.query(level));
      expect(before).not.toBe('read committed');
      const session = new SqlSession(dataSource, dialect);
      expect(isolation((await session.query(level)).rows)).toBe('read committed');
      const inside = await session.transaction(async (tx) => isolation((await tx.query(level)).rows));
      expect(inside).toBe('read committed');
      await session.close();
      expect(isolation(await dataSource.query(level))).toBe(before);
    } finally {
      await dataSource.destroy();
    }
  });
});
