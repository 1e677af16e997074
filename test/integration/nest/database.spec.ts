import { randomBytes } from 'node:crypto';
import { type INestApplication, Injectable } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  type ReceivedMessage,
  Idempotent,
  Outbox,
  OutboxMetrics,
  Payload,
  RocketMQHealthIndicator,
  RocketMQListener,
  RocketMQReplyListener,
  RocketMQTemplate,
  RocketMQTransactionChecker,
  Tx,
} from 'nestjs-rocketmq';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { DataSource, EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nestApp, recordEvents } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

const url = process.env['DATABASE_URL'] ?? '';

async function newDatabase(): Promise<string> {
  if (url === '') throw new Error('DATABASE_URL is not set. Set it to a PostgreSQL server, or run npm test.');
  const name = uniqueName('nest').replaceAll('-', '_');
  const admin = await new DataSource({ type: 'postgres', url }).initialize();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.destroy();
  return url.replace(/\/[^/]*$/, `/${name}`);
}

describe('the module with a database', () => {
  const topic = uniqueName('orders');
  const answers = uniqueName('answers');
  const decided = uniqueName('decided');
  const reservations = uniqueName('reservations');
  const seen: unknown[] = [];
  const attempts = new Map<number, number>();
  const checked: string[] = [];
  let app: INestApplication;
  let dataSource: DataSource;

  @Injectable()
  class Orders {
    constructor(private readonly outbox: Outbox) {}

    @RocketMQListener({ topic, group: uniqueName('orders'), startFrom: 'first', retry: '1s' })
    @Idempotent()
    async on(@Payload() { id }: { id: number }, @Tx() tx: EntityManager): Promise<void> {
      await tx.query('INSERT INTO effect (id) VALUES ($1)', [id]);
      await this.outbox.send(tx, answers, { id });
      const attempt = (attempts.get(id) ?? 0) + 1;
      attempts.set(id, attempt);
      if (id === 2 && attempt === 1) throw new Error('rolled back: no effect, no answer');
    }

    @RocketMQListener({ topic: answers, group: uniqueName('answers'), startFrom: 'first' })
    onAnswer(@Payload() answer: unknown): void {
      seen.push(answer);
    }

    @RocketMQListener({ topic: decided, group: uniqueName('decided'), startFrom: 'first' })
    onDecided(@Payload() answer: unknown): void {
      seen.push(answer);
    }

    @RocketMQReplyListener({ topic: reservations, group: uniqueName('reservations'), startFrom: 'first' })
    @Idempotent()
    async reserve(@Payload() { id }: { id: number }, @Tx() tx: EntityManager): Promise<{ reserved: number }> {
      await tx.query('INSERT INTO effect (id) VALUES ($1)', [id]);
      return { reserved: id };
    }

    @RocketMQTransactionChecker('by-hand')
    byHand(message: ReceivedMessage): 'commit' {
      checked.push(message.messageId);
      return 'commit';
    }
  }

  beforeAll(async () => {
    app = await nestApp({
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: await newDatabase(),
          migrations: rocketmqMigrations,
          migrationsRun: true,
          poolSize: 15,
        }),
      ],
      providers: [Orders],
      options: { outbox: true, idempotency: true, transactions: true },
    });
    dataSource = app.get(DataSource);
    await dataSource.query('CREATE TABLE effect (id int)');
  });

  afterAll(() => app.close());

  it('sends what a transaction wrote; a duplicate and a failure have one effect and one answer', async () => {
    const duplicates = recordEvents(app, 'message.duplicate');
    const outbox = app.get(Outbox);
    await dataSource.transaction((tx) => outbox.send(tx, topic, { id: 1 }));
    await dataSource.transaction((tx) => outbox.send(tx, topic, { id: 2 }));
    const receipt = await app.get(RocketMQTemplate).send(topic, { id: 3 });
    await app.get(RocketMQTemplate).send(topic, { id: 3 }, { messageId: receipt.messageId });
    await waitFor(() => seen.length === 3 && duplicates.length === 1);
    expect(seen).toHaveLength(3);
    expect(await dataSource.query('SELECT id FROM effect ORDER BY id')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    expect(attempts).toEqual(
      new Map([
        [1, 1],
        [2, 2],
        [3, 1],
      ]),
    );
    await waitFor(async () => (await app.get(OutboxMetrics).snapshot()).pending === 0);
    expect(await app.get(RocketMQHealthIndicator).check()).toMatchObject({
      rocketmq: { status: 'up', outbox: { dead: 0 } },
    });
  });

  it('sends in a transaction, or not at all', async () => {
    seen.length = 0;
    const template = app.get(RocketMQTemplate);
    const { result } = await template.sendInTransaction(decided, { id: 10 }, async (tx) => {
      await tx.query('INSERT INTO effect (id) VALUES (10)');
      return 'done';
    });
    expect(result).toBe('done');
    await expect(
      template.sendInTransaction(decided, { id: 11 }, () => Promise.reject(new Error('changed my mind'))),
    ).rejects.toThrow('changed my mind');
    await template.sendInTransaction(decided, { id: 12 }, () => Promise.resolve());
    await waitFor(() => seen.length === 2);
    expect(seen).toHaveLength(2);
    expect(seen).toEqual(expect.arrayContaining([{ id: 10 }, { id: 12 }]));
  });

  it('replies when the transaction is committed, and not to a duplicate: its reply is not known any more', async () => {
    const template = app.get(RocketMQTemplate);
    const duplicates = recordEvents(app, 'message.duplicate');
    const messageId = randomBytes(16).toString('hex').toUpperCase();
    const reserve = (timeout: '60s' | '3s'): Promise<unknown> =>
      template.request(reservations, { id: 30 }, { messageId, timeout });
    expect(await reserve('60s')).toEqual({ reserved: 30 });
    const effects = (): Promise<unknown> => dataSource.query('SELECT id FROM effect WHERE id = 30');
    expect(await effects()).toEqual([{ id: 30 }]);
    await expect(reserve('3s')).rejects.toMatchObject({ code: 'TIMEOUT' });
    await waitFor(() => duplicates.length === 1);
    expect(await effects()).toEqual([{ id: 30 }]);
  });

  it('answers the broker about a half message nobody finished, with the checker it names', async () => {
    seen.length = 0;
    const { receipt } = await app.get(RocketMQTemplate).producer.sendHalf({
      topic: decided,
      body: Buffer.from('{"id":20}'),
      headers: { 'rmq-transaction-checker': 'by-hand' },
    });
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual([{ id: 20 }]);
    expect(checked).toContain(receipt.messageId);
  });
});
