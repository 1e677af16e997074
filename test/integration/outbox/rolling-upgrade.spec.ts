import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { OutboxHarness } from '../../support/outbox-harness.js';

/** What a later release may do to the tables: add columns that may be empty or have a default, and raise its version. */
const NEXT_RELEASE = [
  'ALTER TABLE rmq_outbox ADD COLUMN something_new varchar(20)',
  'ALTER TABLE rmq_outbox_parked ADD COLUMN something_new varchar(20)',
  'ALTER TABLE rmq_outbox_lane ADD COLUMN something_new integer DEFAULT 7 NOT NULL',
  "UPDATE rmq_schema SET version = 2 WHERE feature = 'outbox'",
];

describe.each(databaseNames())('an application of this release beside the next one, on %s', (name) => {
  let database: TestDatabase;
  const harness = new OutboxHarness();

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: 4 });
  });
  afterEach(() => harness.stop());
  afterAll(() => database.drop());

  it('goes on writing and sending while the tables grow under it', async () => {
    const instance = await harness.startWithLanes(database.dataSource, 4);
    const write = (payload: string) =>
      database.dataSource.transaction((tx) =>
        instance.outbox.send(tx, 'orders', payload, { orderingKey: 'k' }),
      );
    await write('before');
    await instance.settled();
    for (const statement of NEXT_RELEASE) await database.dataSource.query(statement);
    await write('after');
    await instance.settled();
    await expect(instance.check()).resolves.toBeUndefined();
    expect(instance.producer.bodies).toEqual(['"before"', '"after"']);
  });

  it('can take its own tables back', async () => {
    await harness.stop();
    for (let n = 0; n < 4; n += 1) await database.dataSource.undoLastMigration();
    await expect(database.dataSource.query('SELECT 1 FROM rmq_outbox')).rejects.toThrow();
    await database.dataSource.runMigrations();
    await expect(database.dataSource.query('SELECT 1 FROM rmq_outbox')).resolves.toEqual([]);
  });
});
