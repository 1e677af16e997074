import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataSource, EntityManager } from 'typeorm';
import { CommitOutcomeUnknownError, runInTransaction } from '../../../lib/database/own-transaction.js';
import { RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import { TRANSACTION_CHECKER_HEADER } from '../../../lib/transaction/transaction-checkers.js';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { receivedMessage } from '../../support/received-message.js';
import { ScriptedProducer } from '../../support/scripted-producer.js';
import { waitFor } from '../../support/wait-for.js';

/** COMMIT of a transaction with an effect waits for this lock. */
const LOCK = 4711;
/** What `pg` waits for the answer to COMMIT, milliseconds. */
const PATIENCE = 300;

// `query_timeout` of pg gives up waiting, and tells the database nothing: it goes on, and commits.
describe('a COMMIT the driver gave up waiting for', () => {
  let database: TestDatabase;
  let impatient: DataSource;

  beforeAll(async () => {
    database = await createDatabase('postgres');
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
    await database.dataSource.query(
      `CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN PERFORM pg_advisory_xact_lock(${LOCK}); RETURN NULL; END'`,
    );
    await database.dataSource.query(
      `CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION slow_commit()`,
    );
    impatient = await database.connect();
  });
  afterAll(() => database.drop());

  /** As `query_timeout` in the options of the DataSource, from now on: what comes before COMMIT may take its time. */
  const effect = async (tx: EntityManager, what: string): Promise<void> => {
    await tx.query(`INSERT INTO effects (what) VALUES ('${what}')`);
    const client = (await tx.queryRunner?.connect()) as { connectionParameters: { query_timeout: number } };
    client.connectionParameters.query_timeout = PATIENCE;
  };
  const isCommitted = async (what: string): Promise<boolean> => {
    const rows = await database.dataSource.query<unknown[]>('SELECT 1 FROM effects WHERE what = $1', [what]);
    return rows.length === 1;
  };
  /** While COMMIT gets no answer. */
  const withSlowCommit = async (work: () => Promise<void>): Promise<void> => {
    const holder = database.dataSource.createQueryRunner();
    await holder.query(`SELECT pg_advisory_lock(${LOCK})`);
    try {
      await work();
    } finally {
      await holder.query(`SELECT pg_advisory_unlock(${LOCK})`);
      await holder.release();
    }
  };

  it('has an unknown outcome', async () => {
    await withSlowCommit(async () => {
      const running = runInTransaction(impatient, (tx) => effect(tx, 'own'));
      await expect(running).rejects.toBeInstanceOf(CommitOutcomeUnknownError);
    });
    await waitFor(() => isCommitted('own'));
  });

  it('does not take the half message back: the check finds out', async () => {
    const producer = new ScriptedProducer();
    const { runner } = createTransactions({
      dataSource: impatient,
      producer,
      events: new RocketMQEvents(),
      options: { graceMs: 1 },
    });
    await withSlowCommit(async () => {
      const running = runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      await expect(running).rejects.toBeInstanceOf(CommitOutcomeUnknownError);
    });
    const [half] = producer.halves;
    expect(half?.state).toBe('half');
    await waitFor(() => isCommitted('paid'));
    const asked = receivedMessage({
      messageId: half?.message.messageId ?? '',
      headers: { [TRANSACTION_CHECKER_HEADER]: 'log' },
      bornTimestamp: Date.now() - 60_000,
    });
    await waitFor(async () => (await producer.check?.(asked)) === 'commit');
  });
});
