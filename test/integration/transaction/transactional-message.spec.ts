import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EntityManager } from 'typeorm';
import { RocketMQEvents, type RocketMQEventMap } from '../../../lib/observability/rocketmq-events.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import { TRANSACTION_CHECKER_HEADER } from '../../../lib/transaction/transaction-checkers.js';
import type { TransactionOptions } from '../../../lib/transaction/transaction-options.js';
import type { Transactions } from '../../../lib/transaction/transactions.js';
import type { Outbox } from '../../../lib/outbox/outbox.js';
import { createDatabase, databaseNames, type TestDatabase } from '../../support/databases.js';
import { OutboxHarness } from '../../support/outbox-harness.js';
import { receivedMessage } from '../../support/received-message.js';
import { AWAY, ScriptedProducer, UNKNOWN_TOPIC } from '../../support/scripted-producer.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 4;

describe.each(databaseNames())('transactional messages on %s', (name) => {
  let database: TestDatabase;
  let producer: ScriptedProducer;
  let events: RocketMQEvents;
  let checked: RocketMQEventMap['transaction.checked'][];
  let ended: RocketMQEventMap['transaction.ended'][];
  const outboxes = new OutboxHarness();

  beforeAll(async () => {
    database = await createDatabase(name, { lanes: LANES });
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
  });
  beforeEach(async () => {
    producer = new ScriptedProducer();
    events = new RocketMQEvents();
    checked = [];
    events.on('transaction.checked', (event) => checked.push(event));
    ended = [];
    events.on('transaction.ended', (event) => ended.push(event));
    await database.dataSource.query('DELETE FROM effects');
  });
  afterEach(() => outboxes.stop());
  afterAll(() => database.drop());

  const create = (options: TransactionOptions = {}, outbox?: Outbox): Transactions =>
    createTransactions({
      dataSource: database.dataSource,
      producer,
      events,
      ...(outbox && { outbox }),
      options: { graceMs: 1, ...options },
    });
  const effect = (tx: EntityManager, what: string): Promise<unknown> =>
    tx.query(`INSERT INTO effects (what) VALUES ('${what}')`);
  const effects = async (): Promise<string[]> => {
    const rows = await database.dataSource.query<{ what: string }[]>('SELECT what FROM effects');
    return rows.map(({ what }) => what).toSorted();
  };
  /** The broker asks about the half message, some time after it was stored. */
  const ask = (
    messageId: string,
    ageMs = 60_000,
    headers: Record<string, string> = { [TRANSACTION_CHECKER_HEADER]: 'log' },
  ) => producer.check?.(receivedMessage({ messageId, headers, bornTimestamp: Date.now() - ageMs }));
  const half = () => producer.halves[0];

  it('commits the message after the local transaction', async () => {
    const { runner } = create();
    let during: string | undefined;
    const { result, messageId, via, receipt } = await runner.sendInTransaction(
      'payments:captured',
      { amount: 7 },
      async (tx) => {
        during = half()?.state;
        await effect(tx, 'paid');
        return 'result';
      },
      { keys: 'p-1', headers: { tenant: 'a' } },
    );
    expect(during).toBe('half');
    expect(half()?.state).toBe('committed');
    expect(half()?.message).toMatchObject({
      topic: 'payments',
      tag: 'captured',
      keys: ['p-1'],
      messageId,
      headers: { tenant: 'a' },
    });
    expect({ result, via }).toEqual({ result: 'result', via: 'half-message' });
    expect(receipt?.messageId).toBe(messageId);
    expect(await effects()).toEqual(['paid']);
    expect(ended).toEqual([
      {
        group: 'scripted',
        topic: 'payments',
        messageId,
        outcome: 'committed',
        via: 'half-message',
        durationMs: expect.any(Number) as number,
      },
    ]);
  });

  it('is not decided by an application that has the same producer group and another database', async () => {
    const { messageId } = await create().runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
    const headers = { ...half()?.message.headers };
    const other = await createDatabase(name, { lanes: LANES });
    try {
      createTransactions({ dataSource: other.dataSource, producer, events, options: { graceMs: 1 } });
      expect(await ask(messageId, 60_000, headers)).toBe('unknown');
      expect(checked).toMatchObject([{ error: { code: 'INVALID_CONFIGURATION' } }]);
      // Another instance of the application that sent it.
      create();
      expect(await ask(messageId, 60_000, headers)).toBe('commit');
    } finally {
      await other.drop();
    }
  });

  it('rolls both back when the work fails, and throws its error', async () => {
    const { runner } = create();
    const work = async (tx: EntityManager): Promise<never> => {
      await effect(tx, 'paid');
      throw new Error('declined');
    };
    await expect(runner.sendInTransaction('payments', 1, work)).rejects.toThrow('declined');
    expect(half()?.state).toBe('rolled back');
    expect(await effects()).toEqual([]);
    expect(ended).toMatchObject([{ outcome: 'rolled-back', via: 'half-message' }]);
  });

  it('does not run the work when the half message cannot be sent', async () => {
    producer.behave(() => ({ fail: AWAY }));
    const { runner } = create();
    await expect(runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'))).rejects.toBe(AWAY);
    expect(await effects()).toEqual([]);
  });

  it('validates before anything is sent', async () => {
    const { runner } = create();
    const work = (tx: EntityManager) => effect(tx, 'paid');
    await expect(runner.sendInTransaction('pay ments', 1, work)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(runner.sendInTransaction('payments', undefined, work)).rejects.toMatchObject({
      code: 'SERIALIZATION_FAILED',
    });
    await expect(runner.sendInTransaction('payments', 1, work, { checker: 'nobody' })).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
    expect(producer.halves).toEqual([]);
  });

  it('does not commit the message when the database gave up the transaction although the work went on', async () => {
    if (name !== 'postgres') return; // elsewhere a failed statement leaves its transaction alone
    const { runner } = create();
    const sent = runner.sendInTransaction('payments', 1, async (tx) => {
      await effect(tx, 'paid');
      await tx.query('SELECT * FROM missing').catch(() => undefined);
    });
    await expect(sent).rejects.toMatchObject({ code: 'DATABASE_FAILED' });
    expect(half()?.state).toBe('rolled back');
    expect(await effects()).toEqual([]);
  });

  describe('the check', () => {
    it('answers commit for a transaction that is committed', async () => {
      const { runner } = create();
      const { messageId } = await runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      expect(await ask(messageId)).toBe('commit');
      const answer = { group: 'scripted', topic: 'orders', messageId, resolution: 'commit' };
      expect(checked).toEqual([{ ...answer, durationMs: expect.any(Number) as number }]);
    });

    it('answers rollback for one that never was, and from then on it cannot happen', async () => {
      const { runner } = create();
      let id = '';
      producer.behave(async ({ messages }) => {
        id = messages[0]?.messageId ?? '';
        expect(await ask(id)).toBe('rollback'); // before the local transaction begins
        return undefined;
      });
      await expect(runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'))).rejects.toMatchObject(
        {
          code: 'TRANSACTION_ROLLED_BACK',
          retryable: true,
        },
      );
      expect(await ask(id)).toBe('rollback');
      expect(await effects()).toEqual([]);
      expect(half()?.state).toBe('rolled back');
    });

    it('answers unknown while the transaction runs, and the truth afterwards', async () => {
      if (name === 'sqlite') return; // one transaction at a time: the check waits for its turn
      const { runner } = create({ checkWaitMs: 100 });
      let answers: unknown[] = [];
      let id = '';
      const { messageId } = await runner.sendInTransaction('payments', 1, async (tx) => {
        id = half()?.message.messageId ?? '';
        answers = [await ask(id), await ask(id)];
        await effect(tx, 'paid');
      });
      expect(answers).toEqual(['unknown', 'unknown']);
      expect(messageId).toBe(id);
      expect(await ask(id)).toBe('commit');
      expect(await effects()).toEqual(['paid']);
    });

    it('writes nothing about a message that is too young, so that its transaction can still begin', async () => {
      const { runner } = create({ graceMs: 30_000 });
      producer.behave(async ({ messages }) => {
        expect(await ask(messages[0]?.messageId ?? '', 1_000)).toBe('unknown');
        return undefined;
      });
      await runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      expect(half()?.state).toBe('committed');
    });

    it('never answers rollback about what it may have forgotten', async () => {
      create({ retentionMs: 400_000_000 });
      expect(await ask('0'.repeat(32), 400_000_001)).toBe('unknown');
    });

    it('answers the same whichever instance is asked, at the same time', async () => {
      create();
      const first = producer.check;
      const other = new ScriptedProducer();
      createTransactions({
        dataSource: database.dataSource,
        producer: other,
        events,
        options: { graceMs: 1 },
      });
      const message = receivedMessage({
        messageId: 'AB'.repeat(16),
        headers: { [TRANSACTION_CHECKER_HEADER]: 'log' },
        bornTimestamp: Date.now() - 60_000,
      });
      const answers = await Promise.all([
        first?.(message),
        other.check?.(message),
        first?.(message),
        other.check?.(message),
      ]);
      expect(new Set(answers)).toEqual(new Set(['rollback']));
    });

    it('counts an error as unknown, and tells it', async () => {
      create({ tablePrefix: 'nowhere_' });
      expect(await ask('CD'.repeat(16))).toBe('unknown');
      expect(checked[0]?.error).toBeInstanceOf(Error);
    });

    it('leaves the half message to the check when its commit gets lost', async () => {
      const { runner } = create();
      const failures: unknown[] = [];
      events.on('transaction.error', (event) => failures.push(event));
      const original = producer.sendHalf.bind(producer);
      producer.sendHalf = async (message) => ({
        ...(await original(message)),
        commit: () => Promise.reject(AWAY),
      });
      const { messageId } = await runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      expect(failures).toEqual([{ phase: 'commit', error: AWAY }]);
      expect(await ask(messageId)).toBe('commit');
    });

    it('goes to the checker the message names, many in one application', async () => {
      const { runner, checkers } = create();
      checkers.register('payments', () => Promise.resolve('commit'));
      checkers.register('refunds', () => Promise.resolve('rollback'));
      checkers.register('broken', () => Promise.reject(new Error('no')));
      const send = (checker: string) =>
        runner.sendInTransaction('payments', 1, () => Promise.resolve(), { checker });
      const { messageId } = await send('payments');
      expect(producer.halves[0]?.message.headers?.[TRANSACTION_CHECKER_HEADER]).toBe('payments');
      const answer = (checker: string) => ask(messageId, 60_000, { [TRANSACTION_CHECKER_HEADER]: checker });
      expect(await answer('payments')).toBe('commit');
      expect(await answer('refunds')).toBe('rollback');
      expect(await answer('broken')).toBe('unknown');
      expect(await answer('nobody')).toBe('unknown');
      expect(await ask(messageId, 60_000, {})).toBe('unknown');
      expect(checked.filter(({ error }) => error instanceof Error)).toHaveLength(3);
      expect(() => checkers.register('payments', () => Promise.resolve('commit'))).toThrow(
        /two transaction checkers/,
      );
    });
  });

  describe('the way through the outbox', () => {
    it('is taken when the half message cannot be sent and the option says so', async () => {
      producer.behave(() => ({ fail: AWAY }));
      const outbox = await outboxes.startWithLanes(database.dataSource, LANES);
      const { runner } = create({ whenBrokerAway: 'outbox' }, outbox.outbox);
      const { via, messageId, receipt } = await runner.sendInTransaction(
        'payments:captured',
        { a: 1 },
        (tx) => effect(tx, 'paid'),
        {
          keys: 'p-1',
        },
      );
      expect({ via, receipt }).toEqual({ via: 'outbox', receipt: undefined });
      await waitFor(() => outbox.producer.stored.length === 1);
      expect(outbox.producer.stored[0]).toMatchObject({
        topic: 'payments',
        tag: 'captured',
        keys: ['p-1'],
        messageId,
        body: Buffer.from('{"a":1}'),
      });
      expect(ended).toMatchObject([{ outcome: 'committed', via: 'outbox' }]);
      expect(await effects()).toEqual(['paid']);
      await outbox.settled();
    });

    it('has a half message that did arrive discarded by the check, so that nothing is delivered twice', async () => {
      producer.behave(() => ({ lose: AWAY }));
      const outbox = await outboxes.startWithLanes(database.dataSource, LANES);
      const { runner } = create({ whenBrokerAway: 'outbox' }, outbox.outbox);
      const { messageId } = await runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      await waitFor(() => outbox.producer.stored.length === 1);
      expect(half()?.state).toBe('half');
      expect(await ask(messageId)).toBe('rollback');
      await outbox.settled();
    });

    it('is not taken for a message the broker refuses', async () => {
      producer.behave(() => ({ fail: UNKNOWN_TOPIC }));
      const outbox = outboxes.create(database.dataSource);
      const { runner } = create({ whenBrokerAway: 'outbox' }, outbox.outbox);
      await expect(runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'))).rejects.toBe(
        UNKNOWN_TOPIC,
      );
    });

    it('writes nothing when the work fails', async () => {
      producer.behave(() => ({ fail: AWAY }));
      const outbox = outboxes.create(database.dataSource);
      const { runner } = create({ whenBrokerAway: 'outbox' }, outbox.outbox);
      await expect(
        runner.sendInTransaction('payments', 1, () => Promise.reject(new Error('no'))),
      ).rejects.toThrow('no');
      expect(await outbox.pending()).toBe(0);
    });

    it('is refused at boot without outbox', () => {
      expect(() => create({ whenBrokerAway: 'outbox' })).toThrow(/outbox is switched off/);
    });
  });

  describe('retention', () => {
    it('is refused when the brokers may still ask later', () => {
      expect(() => create({ retentionMs: 3_600_000 })).toThrow(/a check may come after/);
      expect(() =>
        create({ retentionMs: 3_600_000, broker: { fileReservedMs: 1_000_000, checkMax: 5 } }),
      ).not.toThrow();
    });

    it('removes outcomes nobody can ask for any more', async () => {
      const transactions = create({
        sweepEveryMs: 50,
        retentionMs: 400,
        broker: { transactionTimeOutMs: 1, checkIntervalMs: 1, checkMax: 1, fileReservedMs: 1 },
      });
      await transactions.runner.sendInTransaction('payments', 1, (tx) => effect(tx, 'paid'));
      transactions.start();
      await waitFor(async () => {
        const rows = await database.dataSource.query<unknown[]>('SELECT 1 FROM rmq_transaction_log');
        return rows.length === 0;
      });
      await transactions.stop();
    });
  });
});
