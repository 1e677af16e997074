import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EntityManager } from 'typeorm';
import { CommitOutcomeUnknownError, runInTransaction } from '../../../lib/database/own-transaction.js';
import { createOutbox } from '../../../lib/outbox/create-outbox.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import { TRANSACTION_CHECKER_HEADER } from '../../../lib/transaction/transaction-checkers.js';
import { RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';
import { databaseNames } from '../../support/databases.js';
import { QUICK } from '../../support/outbox-harness.js';
import { receivedMessage } from '../../support/received-message.js';
import { ScriptedProducer } from '../../support/scripted-producer.js';
import { outboxDatabase } from '../../support/outbox-database.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 4;

describe.each(databaseNames())('what TypeORM does that one would not expect, on %s', (name) => {
  const database = outboxDatabase(name, LANES);
  const { harness, startWithLanes, transaction } = database;

  beforeAll(async () => {
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
  });
  afterEach(async () => {
    await database.dataSource.query('DELETE FROM effects');
  });

  const effects = async (): Promise<number> =>
    (await database.dataSource.query<unknown[]>('SELECT 1 FROM effects')).length;
  const effect = (tx: EntityManager): Promise<unknown> => tx.query("INSERT INTO effects (what) VALUES ('x')");

  it('an error in a commit hook makes a committed transaction look failed: ours never has one', async () => {
    const { outbox, producer, settled } = await startWithLanes();
    const broken = createOutbox({
      dataSource: database.dataSource,
      producer: () => {
        throw new Error('no producer at all');
      },
      events: new RocketMQEvents(),
      options: { ...QUICK, relay: false },
    });
    await expect(transaction((tx) => broken.outbox.send(tx, 'orders', 1))).resolves.toBeDefined();
    await transaction((tx) => outbox.send(tx, 'orders', 2));
    await settled();
    expect(producer.stored).toHaveLength(2);
  });

  it('a commit by hand tells no hook: the rows are found by looking', async () => {
    const { outbox, producer, settled } = await startWithLanes();
    const queryRunner = database.dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    await outbox.send(queryRunner.manager, 'orders', 'by hand');
    await queryRunner.query('COMMIT');
    await waitFor(() => producer.stored.length === 1);
    await queryRunner.rollbackTransaction().catch(() => undefined); // what TypeORM still believes in
    Object.assign(queryRunner, { isTransactionActive: false, transactionDepth: 0 });
    await queryRunner.release();
    await settled();
  });

  it('initialize() replaces the list of subscribers: ours is there again with the next call', async () => {
    const { outbox, producer } = await startWithLanes({
      pollMinMs: 60_000,
      pollMaxMs: 60_000,
      sweepMs: 60_000,
    });
    database.dataSource.subscribers.splice(0);
    await transaction((tx) => outbox.send(tx, 'orders', 1));
    await waitFor(() => producer.stored.length === 1);
    expect(database.dataSource.subscribers).toHaveLength(1);
  });

  it('what a request sets in motion does not stay in the request’s async context', async () => {
    const storage = new AsyncLocalStorage<string>();
    const contexts: unknown[] = [];
    const { outbox, settled } = await startWithLanes({
      script: () => {
        contexts.push(storage.getStore());
        return undefined;
      },
    });
    await storage.run('request', () =>
      transaction(async (tx) => {
        await outbox.send(tx, 'orders', 1);
        await outbox.send(tx, 'orders', 2, { orderingKey: 'k' });
      }),
    );
    await settled();
    expect(contexts).toEqual([undefined, undefined]);
  });

  describe('runInTransaction', () => {
    it.runIf(name !== 'sqlite')(
      'tells a lost connection during COMMIT from a rollback, and the check finds out',
      async () => {
        const producer = new ScriptedProducer();
        const { runner } = createTransactions({
          dataSource: database.dataSource,
          producer,
          events: new RocketMQEvents(),
          options: { graceMs: 1 },
        });
        const sent = runner.sendInTransaction('payments', 1, async (tx) => {
          await effect(tx);
          loseConnectionAfterCommit(tx);
        });
        await expect(sent).rejects.toBeInstanceOf(CommitOutcomeUnknownError);
        expect(producer.halves[0]?.state).toBe('half'); // neither committed nor rolled back by guessing
        const answer = await producer.check?.(
          receivedMessage({
            messageId: producer.halves[0]?.message.messageId ?? '',
            headers: { [TRANSACTION_CHECKER_HEADER]: 'log' },
            bornTimestamp: Date.now() - 60_000,
          }),
        );
        expect(answer).toBe('commit');
        expect(await effects()).toBe(1);
      },
    );

    it('rolls back what fails, and leaves nothing open', async () => {
      const failing = runInTransaction(database.dataSource, async (tx) => {
        await effect(tx);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await effects()).toBe(0);
      await runInTransaction(database.dataSource, effect);
      expect(await effects()).toBe(1);
    });
  });

  describe.runIf(name !== 'sqlite')('the pool', () => {
    it('may be used up by transactions that all write their first message at the same time', async () => {
      const dataSource = await database.connect({ poolSize: 3 });
      const { outbox, relay, settled, producer } = await harness.start(dataSource, { pollMaxMs: 20 });
      await waitFor(() => relay.ownedLanes.length === LANES);
      let waiting = 0;
      let go: () => void = () => undefined;
      const all = new Promise<void>((resolve) => (go = resolve));
      await Promise.all(
        Array.from({ length: 8 }, () =>
          dataSource.transaction(async (tx) => {
            waiting += 1;
            if (waiting === 2) go(); // every connection the relay does not hold
            await all;
            await outbox.send(tx, 'orders', 1);
          }),
        ),
      );
      await settled();
      expect(producer.stored).toHaveLength(8);
    });

    it('gives the relay’s connection a new one when it is killed', async () => {
      const { outbox, relay, settled, producer } = await startWithLanes();
      if (name === 'postgres') {
        await database.dataSource.query(
          'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
        );
      } else {
        const rows = await database.dataSource.query<{ id: number }[]>(
          'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
        );
        for (const { id } of rows) await database.dataSource.query(`KILL ${id}`).catch(() => undefined);
      }
      await waitFor(async () => {
        await transaction((tx) => outbox.send(tx, 'orders', 1));
        return true;
      });
      await settled();
      expect(producer.stored).toHaveLength(1);
      expect(relay.ownedLanes).toHaveLength(LANES);
    });
  });

  describe.runIf(name === 'sqlite')('one connection for everybody', () => {
    it('sends nothing from a transaction that is open, and is not rolled back with one', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 20 }, (_, n) => ({ destination: 'orders', payload: n })),
        ),
      );
      await waitFor(() => producer.stored.length > 0);
      await transaction(async (tx) => {
        await outbox.send(tx, 'orders', 'phantom');
        await outbox.send(tx, 'orders', 'phantom', { orderingKey: 'k' });
        await new Promise((resolve) => setTimeout(resolve, 300)); // several looks and sweeps
        throw new Error('rolled back');
      }).catch(() => undefined);
      await settled();
      expect(producer.stored).toHaveLength(20);
      expect(producer.bodies).not.toContain('"phantom"');
    });

    it('takes turns: own transactions at the same time do not become savepoints of each other', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          runInTransaction(database.dataSource, async (tx) => {
            await effect(tx);
            await new Promise((resolve) => setTimeout(resolve, 1));
            if (n % 2 === 0) throw new Error('no');
          }),
        ),
      );
      expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10);
      expect(await effects()).toBe(10);
    });

    it('says so when a transaction would wait for itself', async () => {
      const nested = runInTransaction(database.dataSource, () =>
        runInTransaction(database.dataSource, effect),
      );
      await expect(nested).rejects.toThrow(/would wait for the transaction it is called in/);
    });
  });
});

/** COMMIT reaches the database; its answer does not come back. */
function loseConnectionAfterCommit(tx: EntityManager): void {
  const { queryRunner } = tx;
  if (!queryRunner) throw new Error('no query runner');
  const query = queryRunner.query.bind(queryRunner) as (...args: unknown[]) => Promise<unknown>;
  queryRunner.query = async (...args: unknown[]) => {
    const result = await query(...args);
    if (args[0] !== 'COMMIT') return result as never;
    Reflect.deleteProperty(queryRunner, 'query');
    // What the runner believes now is what it would believe: the transaction is still open.
    throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
  };
}
