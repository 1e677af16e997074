import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { guardConnections } from '../../../lib/database/guard-connections.js';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { waitFor } from '../../support/wait-for.js';

/** What `pg` waits for an answer, milliseconds. */
const PATIENCE = 300;

// Chaos: relays stood still for minutes, because one of them had its leases in a transaction nobody would commit.
describe('a connection whose transaction the driver gave up waiting for', () => {
  let database: TestDatabase;
  let impatient: DataSource;

  beforeAll(async () => {
    database = await createDatabase('postgres');
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
    impatient = await database.connect({ extra: { query_timeout: PATIENCE, max: 1 } });
    guardConnections(impatient);
  });
  afterAll(() => database.drop());

  it('is not used again: what follows by itself is committed', async () => {
    await impatient.query('SELECT 1');
    const abandoned = impatient.transaction((tx) => tx.query('SELECT pg_sleep(3 * $1 / 1000.0)', [PATIENCE]));
    await expect(abandoned).rejects.toThrow('Query read timeout');

    await waitFor(() =>
      impatient.query("INSERT INTO effects (what) VALUES ('seen')").then(
        () => true,
        () => false,
      ),
    );

    expect(await database.dataSource.query('SELECT what FROM effects')).toEqual([{ what: 'seen' }]);
  });

  it('keeps its place when the transaction only failed', async () => {
    const session = async (): Promise<unknown> => impatient.query('SELECT pg_backend_pid() AS pid');
    const before = await session();
    await expect(impatient.transaction((tx) => tx.query('SELECT 1 / 0'))).rejects.toThrow('division by zero');
    expect(await session()).toEqual(before);
  });
});
