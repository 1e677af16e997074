import type { DataSource, EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createDatabase, type DatabaseName, type TestDatabase } from './databases.js';
import { emptyOutbox, OutboxHarness, type InstanceOptions, type OutboxInstance } from './outbox-harness.js';

/** What a suite has that runs an outbox of so many lanes on a database of its own. */
export interface OutboxDatabase {
  /** From `beforeAll` on. */
  readonly dataSource: DataSource;
  readonly harness: OutboxHarness;
  transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T>;
  /** Another application on the same database. */
  readonly connect: TestDatabase['connect'];
  /** Starts an instance and waits until it holds every lane. */
  startWithLanes(options?: InstanceOptions): Promise<OutboxInstance>;
}

/** For the suite around it: creates the database, stops every instance and empties the tables after each test. */
export function outboxDatabase(name: DatabaseName, lanes: number): OutboxDatabase {
  let database: TestDatabase;
  const harness = new OutboxHarness();
  beforeAll(async () => {
    database = await createDatabase(name, { lanes });
  });
  afterEach(async () => {
    await harness.stop();
    await emptyOutbox(database.dataSource);
  });
  afterAll(() => database.drop());
  return {
    get dataSource() {
      return database.dataSource;
    },
    harness,
    transaction: (work) => database.dataSource.transaction(work),
    connect: (options) => database.connect(options),
    startWithLanes: (options = {}) => harness.startWithLanes(database.dataSource, lanes, options),
  };
}
