import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EntityManager } from 'typeorm';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { Producer } from '../../../lib/client/producer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { RocketMQEvents, type RocketMQEventMap } from '../../../lib/observability/rocketmq-events.js';
import { createTransactions } from '../../../lib/transaction/create-transactions.js';
import type { TransactionOptions } from '../../../lib/transaction/transaction-options.js';
import { nameServer } from '../../support/broker.js';
import { createDatabase, postgresUrl, type TestDatabase } from '../../support/databases.js';
import { DoomedProcess, type DoomedTask } from '../../support/doomed-process.js';
import { uniqueName } from '../../support/names.js';
import { TopicReader } from '../../support/stored-messages.js';
import { waitFor } from '../../support/wait-for.js';
import { wrappedProducer } from '../../support/wrapped-producer.js';

/** Checks of the test broker begin after two seconds or so and come every second. */
const CHECKED = { timeoutMs: 40_000 };

describe('transactional messages with a real broker', () => {
  let database: TestDatabase;
  let client: RocketMQClient;
  let reader: TopicReader;
  let topic: string;
  let group: string;
  let checked: RocketMQEventMap['transaction.checked'][];
  const doomed: DoomedProcess[] = [];
  const producers: Producer[] = [];

  beforeAll(async () => {
    database = await createDatabase('postgres');
    await database.dataSource.query('CREATE TABLE effects (what varchar(64) NOT NULL)');
    client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    reader = new TopicReader(nameServer());
  });
  beforeEach(async () => {
    topic = uniqueName('tx');
    group = uniqueName('tx-producer');
    await client.admin.createTopic(topic, { type: 'TRANSACTION' });
    await database.dataSource.query('DELETE FROM effects');
    checked = [];
  });
  afterEach(async () => {
    await Promise.all(doomed.splice(0).map((each) => each.kill()));
    for (const producer of producers.splice(0)) await producer.close();
  });
  afterAll(async () => {
    await client.close();
    await reader.close();
    await database.drop();
  });

  const start = async (
    options: TransactionOptions = {},
    change: (real: Producer) => Partial<Producer> = () => ({}),
  ) => {
    const real = client.createProducer({ group });
    const events = new RocketMQEvents();
    events.on('transaction.checked', (event) => checked.push(event));
    const producer = wrappedProducer(real, change(real));
    const transactions = createTransactions({
      dataSource: database.dataSource,
      producer,
      events,
      options: { graceMs: 1, checkWaitMs: 200, ...options },
    });
    await producer.start();
    producers.push(real);
    return transactions;
  };
  const startDoomed = (what: DoomedTask['what']): DoomedProcess => {
    const url = new URL(postgresUrl());
    url.pathname = `/${(database.dataSource.options as { url?: string }).url?.split('/').pop() ?? ''}`;
    const child = DoomedProcess.start({
      what,
      topic,
      group,
      databaseUrl: url.toString(),
      nameServer: nameServer(),
    });
    doomed.push(child);
    return child;
  };
  const effect = (tx: EntityManager, what: string): Promise<unknown> =>
    tx.query(`INSERT INTO effects (what) VALUES ('${what}')`);
  const effects = async (): Promise<number> =>
    (await database.dataSource.query<unknown[]>('SELECT 1 FROM effects')).length;
  const answers = (resolution: string) => checked.filter((event) => event.resolution === resolution).length;

  it('delivers the message of a committed transaction, and nothing of one that failed', async () => {
    const { runner } = await start();
    const { messageId } = await runner.sendInTransaction(`${topic}:paid`, { n: 1 }, (tx) =>
      effect(tx, 'paid'),
    );
    await expect(
      runner.sendInTransaction(topic, 'phantom', () => Promise.reject(new Error('declined'))),
    ).rejects.toThrow('declined');
    const [message, ...others] = await waitFor(async () => {
      const messages = await reader.read(topic);
      return messages.length > 0 && messages;
    });
    expect(others).toEqual([]);
    expect(message?.properties).toMatchObject({ UNIQ_KEY: messageId, TAGS: 'paid' });
    expect(message?.body.toString()).toBe('{"n":1}');
  });

  it('rolls back the message of a process killed in its local transaction', async () => {
    const child = startDoomed('die in the local transaction');
    await child.said('half');
    await child.kill();
    await start();
    await waitFor(() => answers('rollback') > 0, CHECKED);
    expect(await effects()).toBe(0);
    expect(await reader.read(topic)).toEqual([]);
  });

  it('delivers the message of a process killed after its commit, before it could tell the broker', async () => {
    const child = startDoomed('die before the end of the transaction');
    await child.said('committed');
    await child.kill();
    await start();
    await waitFor(async () => (await reader.read(topic)).length === 1, CHECKED);
    expect(answers('commit')).toBeGreaterThan(0);
    expect(await effects()).toBe(1);
  });

  it('delivers the message when the end of the transaction gets lost on its way', async () => {
    const { runner } = await start({}, (real) => ({
      sendHalf: async (message, options) => {
        const half = await real.sendHalf(message, options);
        return { receipt: half.receipt, commit: () => Promise.resolve(), rollback: () => half.rollback() };
      },
    }));
    await runner.sendInTransaction(topic, 'kept', (tx) => effect(tx, 'paid'));
    await waitFor(async () => (await reader.read(topic)).length === 1, CHECKED);
    expect(answers('commit')).toBeGreaterThan(0);
  });

  it('waits for a local transaction that outlives the first checks', async () => {
    const { runner } = await start();
    await runner.sendInTransaction(topic, 'slow', async (tx) => {
      await effect(tx, 'paid');
      await waitFor(() => answers('unknown') >= 2, CHECKED);
    });
    await waitFor(async () => (await reader.read(topic)).length === 1, CHECKED);
    expect(answers('rollback')).toBe(0);
    expect(await effects()).toBe(1);
  });

  it('fails a local transaction that begins after its check was answered with a rollback', async () => {
    const { runner } = await start({}, (real) => ({
      sendHalf: async (message, options) => {
        const half = await real.sendHalf(message, options);
        // The process stands still between half message and transaction, longer than it may.
        await waitFor(() => answers('rollback') > 0, CHECKED);
        return half;
      },
    }));
    await expect(runner.sendInTransaction(topic, 'late', (tx) => effect(tx, 'paid'))).rejects.toMatchObject({
      code: 'TRANSACTION_ROLLED_BACK',
    });
    expect(await effects()).toBe(0);
    expect(await reader.read(topic)).toEqual([]);
  });

  it('asks the checker the message names', async () => {
    const transactions = await start({}, (real) => ({
      sendHalf: async (message, options) => {
        const half = await real.sendHalf(message, options);
        return { receipt: half.receipt, commit: () => Promise.resolve(), rollback: () => half.rollback() };
      },
    }));
    const asked: string[] = [];
    transactions.checkers.register('mine', ({ body }) => {
      asked.push(body.toString());
      return Promise.resolve('commit');
    });
    await transactions.runner.sendInTransaction(topic, 'who', () => Promise.resolve(), { checker: 'mine' });
    await waitFor(async () => (await reader.read(topic)).length === 1, CHECKED);
    expect(asked[0]).toBe('"who"');
  });
});
