import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createIdempotency } from '../../../lib/idempotency/create-idempotency.js';
import { RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';
import type { OutboxEntry } from '../../../lib/outbox/outbox.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import { createRocketMQMigrations } from '../../../migrations/index.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { NextRelease1900000000000 } from '../../support/next-release.js';
import { OutboxHarness, type OutboxInstance } from '../../support/outbox-harness.js';
import {
  recordStatements,
  RELEASED_LANES,
  replayStatements,
  type ReleasedStatement,
} from '../../support/released-statements.js';
import { ScriptedProducer } from '../../support/scripted-producer.js';
import { waitFor } from '../../support/wait-for.js';

/** Versions of the tables there have been. The statements of each are in a file that never changes. */
const SCHEMAS = [1];
const LANES = 4;
/** SQLite has one process: nothing works beside it while it is upgraded. */
const SERVERS = databaseNames().filter((name) => name !== 'sqlite');

/** The next release's deployment runs its migrations while applications of this one are at work. */
async function deployNextRelease(database: TestDatabase, lanes: number): Promise<void> {
  if (database.name === 'sqlite') {
    await new NextRelease1900000000000().up(database.dataSource.createQueryRunner());
    return;
  }
  const migrations = [...createRocketMQMigrations({ lanes }), NextRelease1900000000000];
  const deployment = await database.connect({ migrations });
  expect(await deployment.runMigrations()).toHaveLength(1);
}

describe.each(SERVERS)('the statements of a released version, on %s', (name) => {
  const file = (schema: number): string =>
    fileURLToPath(new URL(`./released/schema-${schema}.${name}.json`, import.meta.url));
  let database: TestDatabase;

  beforeAll(async () => {
    // WRITE_STATEMENTS=1 writes those of the newest version; once it is released they stay.
    if (process.env['WRITE_STATEMENTS'] !== '1') return;
    database = await createDatabase(name, { lanes: RELEASED_LANES });
    const statements = await recordStatements(database.dataSource);
    await database.drop();
    mkdirSync(fileURLToPath(new URL('./released', import.meta.url)), { recursive: true });
    writeFileSync(file(SCHEMAS.at(-1) ?? 0), `${JSON.stringify(statements, null, 2)}\n`);
  });
  afterEach(() => database.drop());

  it.each(
    SCHEMAS.flatMap((schema) =>
      (['today', 'the next release'] as const).map((tables) => [schema, tables] as const),
    ),
  )('version %i, do the same on the tables of %s', async (schema, tables) => {
    database = await createDatabase(name, { lanes: RELEASED_LANES });
    if (tables === 'the next release') await deployNextRelease(database, RELEASED_LANES);
    const statements = JSON.parse(readFileSync(file(schema), 'utf8')) as ReleasedStatement[];
    expect(statements.length).toBeGreaterThan(40);
    expect(await replayStatements(database.dataSource, statements)).toEqual([]);
  });
});

describe.each(databaseNames())('an application of this release beside the next one, on %s', (name) => {
  let database: TestDatabase;
  const harness = new OutboxHarness();
  const events = new RocketMQEvents();

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: LANES });
  });
  afterEach(() => harness.stop());
  afterAll(() => database.drop());

  const write = (instance: OutboxInstance, entries: readonly OutboxEntry[]) =>
    database.dataSource.transaction((tx: EntityManager) => instance.outbox.sendAll(tx, entries));
  const keyed = (payload: string): OutboxEntry => ({
    destination: 'orders',
    payload,
    options: { orderingKey: 'k' },
  });

  it('goes on writing and sending while the tables grow under it', async () => {
    const instance = await harness.startWithLanes(database.dataSource, LANES);
    await write(instance, [keyed('before')]);
    await instance.settled();
    await deployNextRelease(database, LANES);
    await write(instance, [keyed('after')]);
    await instance.settled();
    expect(instance.producer.bodies).toEqual(['"before"', '"after"']);
  });

  it('starts on the newer tables, with every feature', async () => {
    const { dataSource } = database;
    await expect(harness.create(dataSource).check()).resolves.toBeUndefined();
    await expect(createIdempotency({ dataSource, events }).check()).resolves.toBeUndefined();
    const producer = new ScriptedProducer();
    await expect(createTransactions({ dataSource, events, producer }).check()).resolves.toBeUndefined();
    const versions = await dataSource.query<{ version: unknown }[]>(
      "SELECT version FROM rmq_schema WHERE feature <> 'base'",
    );
    expect(versions.map(({ version }) => Number(version))).toEqual([2, 2, 2]);
  });

  if (name !== 'sqlite') {
    it('shares lanes and backlog with instances of the next release', async () => {
      // The relays stay away until the backlog is written; rows of the next release have its column.
      const writer = harness.create(database.dataSource, { relay: false });
      const payloads = Array.from({ length: 200 }, (_, n) => `${n}`);
      await write(
        writer,
        payloads.map((payload, n) => ({
          destination: 'orders',
          payload,
          ...(n % 2 === 0 && { options: { orderingKey: `k${n % 20}` } }),
        })),
      );
      await database.dataSource.query("UPDATE rmq_outbox SET region = 'eu' WHERE id % 3 = 0");
      const patient = { leaseMs: 30_000 }; // nobody loses a lane on a busy machine
      const old = await harness.start(database.dataSource, patient);
      const next = await harness.start(await database.connect(), patient);
      await waitFor(() => old.relay.ownedLanes.length === 2 && next.relay.ownedLanes.length === 2);
      await old.settled();
      const sent = [...old.producer.bodies, ...next.producer.bodies].map(
        (body) => JSON.parse(body) as string,
      );
      expect(sent.toSorted()).toEqual(payloads.toSorted());
      for (const { producer } of [old, next]) {
        for (let key = 0; key < 20; key += 2) {
          const ofKey = producer.stored
            .filter(({ orderingKey }) => orderingKey === `k${key}`)
            .map(({ body }) => Number(JSON.parse(body.toString())));
          expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b));
        }
      }
    });
  }

  it('is refused by tables that no longer know it, and by tables that are behind', async () => {
    const { dataSource } = database;
    const set = (version: number, compatibleFrom: number) =>
      dataSource.query(`UPDATE rmq_schema SET version = ${version}, compatible_from = ${compatibleFrom}`);
    const producer = new ScriptedProducer();
    const checks = [
      () => harness.create(dataSource).check(),
      () => createIdempotency({ dataSource, events }).check(),
      () => createTransactions({ dataSource, events, producer }).check(),
    ];
    for (const check of checks) {
      await set(5, 2);
      await expect(check()).rejects.toMatchObject({
        code: 'SCHEMA_MISMATCH',
        message: expect.stringMatching(
          /version 5, which no longer works with this release \(1\)\. Upgrade/,
        ) as unknown,
      });
      await set(0, 0);
      await expect(check()).rejects.toMatchObject({
        code: 'SCHEMA_MISMATCH',
        message: expect.stringMatching(
          /have version 0; this release needs 1\. Run the migrations/,
        ) as unknown,
      });
    }
    await set(1, 1);
  });
});

describe.each(databaseNames())('the migrations on %s', (name) => {
  it('can take the tables back, and make them again', async () => {
    const database = await createDatabase(name, { lanes: LANES });
    const { dataSource } = database;
    try {
      for (let n = 0; n < 4; n += 1) await dataSource.undoLastMigration();
      await expect(dataSource.query('SELECT 1 FROM rmq_outbox')).rejects.toThrow();
      await dataSource.runMigrations();
      await expect(dataSource.query('SELECT 1 FROM rmq_outbox')).resolves.toEqual([]);
    } finally {
      await database.drop();
    }
  });
});
