import { type INestApplication, Injectable, type LoggerService } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  Idempotent,
  Outbox,
  Payload,
  RocketMQBatchListener,
  RocketMQListener,
  RocketMQTemplate,
  Tx,
  type RocketMQModuleOptions,
} from 'nestjs-rocketmq';
import { EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { nestApp, recordEvents } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { emptyOutbox, QUICK } from '../../support/outbox-harness.js';
import { waitFor } from '../../support/wait-for.js';

describe('outbox and inbox in an application, with the real broker', () => {
  let database: TestDatabase;
  let app: INestApplication | undefined;

  beforeAll(async () => {
    database = await createDatabase('postgres', { lanes: 4 });
    await database.dataSource.query('CREATE TABLE effect (what text NOT NULL)');
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    await emptyOutbox(database.dataSource);
    await database.dataSource.query('DELETE FROM effect');
  });
  afterAll(() => database.drop());

  const start = async (
    options: Partial<RocketMQModuleOptions>,
    listener: new () => object,
    prepare: (app: INestApplication) => void = () => undefined,
  ): Promise<INestApplication> => {
    const imports = [TypeOrmModule.forRoot(database.dataSource.options)];
    app = await nestApp({ imports, providers: [listener], options, prepare });
    return app;
  };
  const transaction = <T>(work: (tx: EntityManager) => Promise<T>): Promise<T> =>
    (app as INestApplication).get(EntityManager).transaction(work);
  const effects = async (): Promise<string[]> => {
    const rows = await database.dataSource.query<{ what: string }[]>('SELECT what FROM effect');
    return rows.map(({ what }) => what).toSorted();
  };

  describe('two connections', () => {
    const topic = uniqueName('connections');
    const received: string[] = [];
    @Injectable()
    class Listeners {
      @RocketMQListener({ topic, group: uniqueName('main'), startFrom: 'first' })
      onMain(@Payload() payload: string): void {
        received.push(`main: ${payload}`);
      }

      @RocketMQListener({ topic, group: uniqueName('audit'), connection: 'audit', startFrom: 'first' })
      onAudit(@Payload() payload: string): void {
        received.push(`audit: ${payload}`);
      }
    }
    const connections = { audit: { nameServer: nameServer(), namespace: uniqueName('audit') } };

    it('get the rows that name them', async () => {
      const outbox = (await start({ connections, outbox: QUICK }, Listeners)).get(Outbox);
      await transaction(async (tx) => {
        await outbox.send(tx, topic, 'a');
        await outbox.send(tx, topic, 'b', { connection: 'audit' });
        await outbox.sendAll(tx, [
          { destination: topic, payload: 'c', options: { orderingKey: 'k' } },
          { destination: topic, payload: 'd', options: { orderingKey: 'k', connection: 'audit' } },
        ]);
      });
      const all = new Set(['audit: b', 'audit: d', 'main: a', 'main: c']);
      await waitFor(() => new Set(received).size >= all.size);
      expect(new Set(received)).toEqual(all);
    });

    it('are known by name: another one is refused at the call, where this application is to send', async () => {
      const outbox = (await start({ connections, outbox: QUICK }, Listeners)).get(Outbox);
      const refused = transaction((tx) => outbox.send(tx, topic, 'x', { connection: 'nowhere' }));
      await expect(refused).rejects.toMatchObject({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringContaining('Known: default, audit') as unknown,
      });
      expect(await database.dataSource.query('SELECT 1 FROM rmq_outbox')).toEqual([]);
    });
  });

  it('writes for connections of other applications where it does not send itself', async () => {
    @Injectable()
    class Nothing {}
    const outbox = (await start({ outbox: { relay: false } }, Nothing)).get(Outbox);
    await transaction((tx) => outbox.send(tx, 'elsewhere', 'x', { connection: 'theirs' }));
    const rows = await database.dataSource.query<unknown[]>('SELECT connection FROM rmq_outbox');
    expect(rows).toEqual([{ connection: 'theirs' }]);
  });

  it('has one effect for a message that arrives three times, and answers it once', async () => {
    const topic = uniqueName('thrice');
    @Injectable()
    class Orders {
      calls = 0;

      @RocketMQListener({ topic, group: uniqueName('thrice'), startFrom: 'first' })
      @Idempotent()
      async on(@Payload() order: { id: string }, @Tx() tx: EntityManager): Promise<void> {
        this.calls += 1;
        await tx.query('INSERT INTO effect (what) VALUES ($1)', [order.id]);
      }
    }
    await start({ idempotency: true }, Orders);
    const duplicates = recordEvents(app as INestApplication, 'message.duplicate');
    const handled = recordEvents(app as INestApplication, 'message.handled');
    const template = (app as INestApplication).get(RocketMQTemplate);
    const { messageId } = await template.send(topic, { id: 'o-1' });
    await template.send(topic, { id: 'o-1' }, { messageId });
    await template.send(topic, { id: 'o-1' }, { messageId });
    // Each of them is delivered at least once.
    await waitFor(() => duplicates.length >= 2 && handled.length >= 3);
    expect(new Set(duplicates.map(({ event }) => event['messageId']))).toEqual(new Set([messageId]));
    expect(app?.get(Orders).calls).toBe(1);
    expect(await effects()).toEqual(['o-1']);
  });

  it('hands a batch listener each message once, whether copies come together or later', async () => {
    const topic = uniqueName('batch');
    @Injectable()
    class Orders {
      readonly seen: string[] = [];

      @RocketMQBatchListener({ topic, group: uniqueName('batch'), startFrom: 'first', batchSize: 8 })
      @Idempotent()
      async on(@Payload() orders: readonly string[], @Tx() tx: EntityManager): Promise<void> {
        this.seen.push(...orders);
        for (const order of orders) await tx.query('INSERT INTO effect (what) VALUES ($1)', [order]);
      }
    }
    await start({ idempotency: true }, Orders);
    const duplicates = recordEvents(app as INestApplication, 'message.duplicate');
    const template = (app as INestApplication).get(RocketMQTemplate);
    const orders = ['a', 'b', 'c'];
    const receipts = await Promise.all(orders.map((order) => template.send(topic, order)));
    for (const [n, { messageId }] of receipts.entries()) {
      await template.send(topic, orders[n], { messageId });
      await template.send(topic, orders[n], { messageId });
    }
    await waitFor(() => duplicates.length >= 6);
    expect(app?.get(Orders).seen.toSorted()).toEqual(orders);
    expect(await effects()).toEqual(orders);
  });

  it('warns at boot when the inbox will be very large', async () => {
    @Injectable()
    class Nothing {}
    const warnings: unknown[] = [];
    const nothing = (): void => undefined;
    const logger: LoggerService = {
      log: nothing,
      error: nothing,
      warn: (message: unknown) => void warnings.push(message),
    };
    await start({ idempotency: { expectedPerSecond: 1_000 } }, Nothing, (it) => it.useLogger(logger));
    expect(warnings).toEqual([expect.stringContaining('inbox will hold about 259 million rows')]);
  });
});
