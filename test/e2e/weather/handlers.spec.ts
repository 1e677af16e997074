import 'reflect-metadata';
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  createRocketMQClient,
  Ctx,
  Idempotent,
  Payload,
  RocketMQContext,
  RocketMQListener,
  RocketMQModule,
  Tx,
  type Producer,
  type ReceivedMessage,
  type RocketMQClient,
} from 'nestjs-rocketmq';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { DataSource, EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFreshDatabase, type FreshDatabase } from '../../../scripts/demo/fresh-database.js';
import { nameServer } from '../../support/broker.js';
import { databaseUrl } from '../sample/database-url.js';
import { uniqueName } from '../../support/names.js';
import { eventually } from '../sample/eventually.js';

interface Job {
  readonly id: string;
}

/** Every call of a handler, whether it succeeded or not. */
const calls: { readonly handler: string; readonly job: string; readonly attempt: number }[] = [];

const attemptsOf = (handler: string, job: string): number[] =>
  calls.filter((call) => call.handler === handler && call.job === job).map(({ attempt }) => attempt);

async function takeEffect(tx: EntityManager, handler: string, job: string): Promise<void> {
  await tx.query('INSERT INTO effects (handler, job) VALUES ($1, $2)', [handler, job]);
}

@Injectable()
class Handlers {
  @RocketMQListener({ topic: 'once', group: 'once', startFrom: 'first' })
  @Idempotent()
  async once(
    @Payload() job: Job,
    @Tx() tx: EntityManager,
    @Ctx() { attempt }: RocketMQContext,
  ): Promise<void> {
    calls.push({ handler: 'once', job: job.id, attempt });
    await takeEffect(tx, 'once', job.id);
  }

  @RocketMQListener({ topic: 'stumbling', group: 'stumbling', startFrom: 'first', retry: '1s' })
  @Idempotent()
  async stumbling(
    @Payload() job: Job,
    @Tx() tx: EntityManager,
    @Ctx() { attempt }: RocketMQContext,
  ): Promise<void> {
    calls.push({ handler: 'stumbling', job: job.id, attempt });
    await takeEffect(tx, 'stumbling', job.id);
    if (attempt < 3) throw new Error(`stumbled over attempt ${attempt}, after the effect`);
  }

  @RocketMQListener({ topic: 'failing', group: 'failing', startFrom: 'first', maxAttempts: 3, retry: '1s' })
  @Idempotent()
  async failing(
    @Payload() job: Job,
    @Tx() tx: EntityManager,
    @Ctx() { attempt }: RocketMQContext,
  ): Promise<void> {
    calls.push({ handler: 'failing', job: job.id, attempt });
    await takeEffect(tx, 'failing', job.id);
    throw new Error('this handler never succeeds');
  }

  @RocketMQListener({ topic: 'reading', group: 'reading', startFrom: 'first' })
  @Idempotent()
  async reading(
    @Payload() job: Job,
    @Tx() tx: EntityManager,
    @Ctx() { attempt }: RocketMQContext,
  ): Promise<void> {
    calls.push({ handler: 'reading', job: job.id, attempt });
    await takeEffect(tx, 'reading', job.id);
  }
}

class Effects1760000000000 {
  readonly name = 'Effects1760000000000';
  up = (runner: { query(sql: string): Promise<unknown> }): Promise<unknown> =>
    runner.query('CREATE TABLE effects (handler text NOT NULL, job text NOT NULL)');
  down = (runner: { query(sql: string): Promise<unknown> }): Promise<unknown> =>
    runner.query('DROP TABLE effects');
}

describe('handlers in bad weather', () => {
  const namespace = uniqueName('weather');
  let database: FreshDatabase;
  let app: INestApplicationContext;
  let client: RocketMQClient;
  let producer: Producer;

  beforeAll(async () => {
    database = await createFreshDatabase(databaseUrl());
    @Module({
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: database.url,
          migrations: [...rocketmqMigrations, Effects1760000000000],
          migrationsRun: true,
        }),
        RocketMQModule.forRoot({ nameServer: nameServer(), namespace, topics: 'create', idempotency: true }),
      ],
      providers: [Handlers],
    })
    class WeatherModule {}
    const module = await Test.createTestingModule({ imports: [WeatherModule] }).compile();
    // Failures are the subject here; their stack traces would fill the screen.
    module.useLogger(false);
    app = await module.init();
    client = createRocketMQClient({ nameServer: nameServer(), namespace });
    await client.start();
    producer = client.createProducer({ group: 'weather' });
    await producer.start();
  });
  afterAll(async () => {
    await client?.close();
    await app?.close();
    await database?.drop();
  });

  const send = (topic: string, job: Job, messageId?: string) =>
    producer.send({ topic, body: Buffer.from(JSON.stringify(job)), messageId });

  async function effectsOf(handler: string, job: string): Promise<number> {
    const rows: unknown[] = await app
      .get(DataSource)
      .query('SELECT 1 FROM effects WHERE handler = $1 AND job = $2', [handler, job]);
    return rows.length;
  }

  async function deadLetter(group: string): Promise<ReceivedMessage> {
    const letters: ReceivedMessage[] = [];
    await eventually(`%DLQ%${group} to exist`, () => client.admin.topicExists(`%DLQ%${group}`));
    const reader = client.createPushConsumer({
      group: uniqueName('reader'),
      subscriptions: [{ topic: `%DLQ%${group}` }],
      startFrom: 'first',
      handler: async (messages) => {
        letters.push(...messages);
        return { action: 'ack' };
      },
    });
    await reader.start();
    const letter = await eventually(`a message in %DLQ%${group}`, () => letters[0]);
    await reader.close();
    return letter;
  }

  it('a message delivered three times has one effect', async () => {
    const { messageId } = await send('once', { id: 'a' });
    await send('once', { id: 'a' }, messageId);
    await send('once', { id: 'a' }, messageId);
    // Effects cannot tell when the copies were handled; the offsets of the group can.
    await eventually('the effect', async () => (await effectsOf('once', 'a')) > 0);
    await eventually(
      'all three deliveries to be acknowledged',
      async () => (await client.admin.lag('once', 'once')).total === 0,
    );
    expect(await effectsOf('once', 'a')).toBe(1);
    expect(attemptsOf('once', 'a')).toHaveLength(1);
  });

  it('a handler that throws twice and then succeeds: three attempts, one effect', async () => {
    await send('stumbling', { id: 'b' });
    await eventually('the effect', async () => (await effectsOf('stumbling', 'b')) === 1);
    expect(attemptsOf('stumbling', 'b')).toEqual([1, 2, 3]);
  });

  it('a handler that always throws: the message ends in the dead-letter topic, without effect', async () => {
    const { messageId } = await send('failing', { id: 'c' });
    const letter = await deadLetter('failing');
    expect(letter.messageId).toBe(messageId);
    expect(JSON.parse(letter.body.toString())).toEqual({ id: 'c' });
    expect(attemptsOf('failing', 'c')).toEqual([1, 2, 3]);
    expect(await effectsOf('failing', 'c')).toBe(0);
  });

  it('a body that is not JSON: a dead letter at once, and the messages around it are handled', async () => {
    const queue = {
      topic: 'reading',
      brokerName: (await send('reading', { id: 'before' })).brokerName,
      queueId: 0,
    };
    await producer.send({ topic: 'reading', body: Buffer.from('{"id": broken') }, { queue });
    await producer.send({ topic: 'reading', body: Buffer.from('{"id":"behind"}') }, { queue });

    await eventually('the effect', async () => (await effectsOf('reading', 'behind')) === 1);
    await eventually('the effect', async () => (await effectsOf('reading', 'before')) === 1);
    const letter = await deadLetter('reading');
    expect(letter.body.toString()).toBe('{"id": broken');
    expect(calls.filter(({ handler }) => handler === 'reading')).toHaveLength(2);
  });
});
