import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { createIdempotency } from '../../../lib/idempotency/create-idempotency.js';
import { createOutbox } from '../../../lib/outbox/create-outbox.js';
import type { OutboxOptions } from '../../../lib/outbox/outbox-options.js';
import { RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import { createRocketMQMigrations } from '../../../migrations/index.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { ScriptedProducer } from '../../support/scripted-producer.js';

describe.each(databaseNames())('what is wrong with the database is said at boot, on %s', (name) => {
  let database: TestDatabase;
  const opened: DataSource[] = [];

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: 8 });
  });
  afterEach(async () => {
    for (const dataSource of opened.splice(0)) await dataSource.destroy();
  });
  afterAll(() => database.drop());

  const outbox = (options: OutboxOptions = {}, dataSource = database.dataSource) =>
    createOutbox({ dataSource, producer: new ScriptedProducer(), events: new RocketMQEvents(), options });

  it('says nothing when all is well', async () => {
    await expect(outbox().check()).resolves.toBeUndefined();
    await expect(outbox({ lanes: 8 }).check()).resolves.toBeUndefined();
    const events = new RocketMQEvents();
    await expect(
      createIdempotency({ dataSource: database.dataSource, events }).check(),
    ).resolves.toBeUndefined();
    const producer = new ScriptedProducer();
    await expect(
      createTransactions({ dataSource: database.dataSource, producer, events }).check(),
    ).resolves.toBeUndefined();
  });

  it('names the migrations when tables are missing', async () => {
    await expect(outbox({ tablePrefix: 'other_' }).check()).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringMatching(/prefix "other_"\) do not exist.*rocketmqMigrations/) as unknown,
    });
    const events = new RocketMQEvents();
    const options = { tablePrefix: 'other_' };
    await expect(
      createIdempotency({ dataSource: database.dataSource, events, options }).check(),
    ).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
    });
    const producer = new ScriptedProducer();
    await expect(
      createTransactions({ dataSource: database.dataSource, producer, events, options }).check(),
    ).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  });

  it('refuses another number of lanes than the database has', async () => {
    await expect(outbox({ lanes: 16 }).check()).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('the database has 8 lanes') as unknown,
    });
  });

  it('works with tables that are newer, and refuses those that no longer know this release', async () => {
    const set = (version: number, compatibleFrom: number) =>
      database.dataSource.query(
        `UPDATE rmq_schema SET version = ${version}, compatible_from = ${compatibleFrom} WHERE feature = 'outbox'`,
      );
    try {
      await set(7, 1);
      await expect(outbox().check()).resolves.toBeUndefined();
      await set(7, 5);
      await expect(outbox().check()).rejects.toThrow(/no longer works with this release/);
      await set(0, 0);
      await expect(outbox().check()).rejects.toThrow(/this release needs 1. Run the migrations/);
    } finally {
      await set(1, 1);
    }
  });

  it('refuses a pool that leaves the application no connection beside the relay', async () => {
    const withPool = (poolSize: number): DataSource =>
      Object.create(database.dataSource, {
        options: { value: { ...database.dataSource.options, poolSize } },
      }) as DataSource;
    if (name === 'sqlite') return; // no pool
    const check = (poolSize: number, options: OutboxOptions = {}) =>
      outbox(options, withPool(poolSize)).check;
    expect(() => outbox({}, withPool(1))).not.toThrow();
    await expect(check(1)()).rejects.toThrow(/The outbox relay keeps one/);
    await expect(check(2, { reservedConnections: 2 })()).rejects.toThrow(/2 must be left/);
  });

  it('says that the database is away', async () => {
    if (name === 'sqlite') return; // a file
    const dataSource = new DataSource(database.dataSource.options as DataSourceOptions);
    await dataSource.initialize();
    await dataSource.destroy();
    await expect(outbox({}, dataSource).check()).rejects.toMatchObject({ code: 'DATABASE_FAILED' });
  });

  it('takes names and lanes from the migrations that were run', async () => {
    if (name === 'sqlite') return; // shown by the others
    const options = { tablePrefix: 'mine_', lanes: 3 };
    const dataSource = await database.connect({
      migrations: createRocketMQMigrations(options),
      migrationsTableName: 'mine',
    });
    await dataSource.runMigrations();
    await expect(outbox({ tablePrefix: 'mine_', lanes: 3 }, dataSource).check()).resolves.toBeUndefined();
  });
});

describe('settings that cannot work', () => {
  it.each([
    [{ renewMs: 5_000 }, /more than a third/],
    [{ sendTimeoutMs: 7_000 }, /does not fit into/],
    [{ leaseMs: 0 }, /outbox.leaseMs is 0/],
    [{ tablePrefix: 'rmq; DROP TABLE x' }, /is not a plain name/],
    [{ history: { retentionMs: 0 } }, /history.retentionMs/],
  ] as [OutboxOptions, RegExp][])('are refused: %j', (options, message) => {
    const dataSource = new DataSource({ type: 'postgres' });
    const create = () =>
      createOutbox({ dataSource, producer: new ScriptedProducer(), events: new RocketMQEvents(), options });
    expect(create).toThrow(message);
    expect(create).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });

  it('are refused for a database this library has no SQL for', () => {
    const dataSource = { options: { type: 'mssql' } } as DataSource;
    expect(() => createIdempotency({ dataSource, events: new RocketMQEvents() })).toThrow(/of type "mssql"/);
  });
});
