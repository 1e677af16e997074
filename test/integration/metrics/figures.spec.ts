import { type INestApplication, Injectable } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  Idempotent,
  Outbox,
  ParkedMessages,
  Payload,
  RocketMQListener,
  RocketMQTemplate,
  RocketMQTransactionChecker,
  Tx,
} from 'nestjs-rocketmq';
import { RocketMQMetrics, RocketMQMetricsModule } from 'nestjs-rocketmq/metrics';
import { Registry } from 'prom-client';
import { DataSource, EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/databases.js';
import { nestApp } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { Scrape } from '../../support/scrape.js';
import { waitFor } from '../../support/wait-for.js';

const topic = uniqueName('orders');
const group = uniqueName('inventory');

@Injectable()
class Inventory {
  @RocketMQListener({
    topic,
    group,
    startFrom: 'first',
    id: 'inventory',
    tuning: { offsetPersistIntervalMs: 200 },
  })
  @Idempotent()
  onOrder(@Payload() _order: unknown, @Tx() tx: EntityManager): Promise<unknown> {
    return tx.query('SELECT 1');
  }

  @RocketMQTransactionChecker('by-hand')
  check(): 'commit' {
    return 'commit';
  }
}

let database: TestDatabase;
let app: INestApplication;
let db: DataSource;

beforeAll(async () => {
  database = await createDatabase('postgres');
  app = await nestApp({
    imports: [
      TypeOrmModule.forRoot(database.dataSource.options),
      RocketMQMetricsModule.forRootAsync({
        useFactory: () => ({ registry: new Registry(), lagEveryMs: 0, collectTimeoutMs: 10_000 }),
      }),
    ],
    providers: [Inventory],
    options: { outbox: true, idempotency: true, transactions: true },
  });
  db = app.get(DataSource);
});

afterAll(async () => {
  await app?.close();
  await database?.drop();
});

const scrape = async (): Promise<Scrape> => new Scrape(await app.get(RocketMQMetrics).text());

/** Scrapes until the condition holds. */
function figures(condition: (scrape: Scrape) => boolean): Promise<Scrape> {
  let last: Scrape | undefined;
  return waitFor(
    async () => {
      last = await scrape();
      return condition(last) && last;
    },
    { describe: () => `the figures; the last ones:\n${last?.text ?? ''}` },
  );
}

describe('figures of a real broker and database', () => {
  it('follow a message through the outbox to its listener', async () => {
    const outbox = app.get(Outbox);
    await db.transaction((tx) =>
      outbox.sendAll(
        tx,
        Array.from({ length: 10 }, (_, id) => ({ destination: topic, payload: { id } })),
      ),
    );
    const { messageId } = await app.get(RocketMQTemplate).send(topic, { id: 10 });
    await app.get(RocketMQTemplate).send(topic, { id: 10 }, { messageId });
    const listener = { listener: 'inventory', group, topic };
    const found = await figures(
      (each) =>
        (each.value('rocketmq_listener_messages_total', { ...listener, outcome: 'handled' }) ?? 0) >= 12 &&
        (each.value('rocketmq_listener_duplicates_total', listener) ?? 0) >= 1 &&
        each.value('rocketmq_outbox_settled_messages_total') === 10 &&
        each.value('rocketmq_outbox_pending_messages') === 0 &&
        each.value('rocketmq_consumer_lag_messages', { group, topic }) === 0,
    );
    expect(found.value('rocketmq_outbox_sent_messages_total', { topic })).toBe(10);
    expect(found.value('rocketmq_outbox_delivery_delay_seconds_count')).toBe(10);
    expect(found.value('rocketmq_outbox_batch_messages_sum')).toBe(10);
    expect(found.value('rocketmq_outbox_request_duration_seconds_count', { topic })).toBeGreaterThan(0);
    expect(found.value('rocketmq_outbox_settle_duration_seconds_count')).toBeGreaterThan(0);
    expect(found.value('rocketmq_outbox_resent_messages_total')).toBe(0);
    expect(found.value('rocketmq_outbox_oldest_message_age_seconds')).toBe(0);
    expect(found.value('rocketmq_outbox_unowned_lanes')).toBe(0);
    expect(found.value('rocketmq_outbox_owned_lanes')).toBe(64);
    expect(found.value('rocketmq_outbox_instances')).toBe(1);
    expect(found.samples.filter(({ name }) => name === 'rocketmq_outbox_pending_messages')).toHaveLength(64);
  });

  it('show messages that were put aside until an operator decides', async () => {
    const [years, dead] = [10 * 365 * 86_400_000, { state: 'dead' }];
    await db.transaction((tx) => app.get(Outbox).send(tx, topic, {}, { delay: years }));
    await figures(
      (each) =>
        each.value('rocketmq_outbox_parked_total', { topic, ...dead }) === 1 &&
        each.value('rocketmq_outbox_parked_messages', dead) === 1,
    );
    const parked = app.get(ParkedMessages);
    const [message] = (await parked.list()).items;
    await parked.discard(message?.id ?? 0);
    const found = await figures((each) => each.value('rocketmq_outbox_parked_messages', dead) === 0);
    expect(found.value('rocketmq_outbox_discarded_total')).toBe(1);
  });

  it('count transactional messages and the questions about them', async () => {
    const template = app.get(RocketMQTemplate);
    await template.sendInTransaction(topic, { id: 20 }, () => Promise.resolve());
    await template
      .sendInTransaction(topic, { id: 21 }, () => Promise.reject(new Error('no')))
      .catch(() => undefined);
    const headers = { 'rmq-transaction-checker': 'by-hand' };
    await template.producer.sendHalf({ topic, body: Buffer.from('{}'), headers });
    const found = await figures(
      (each) => (each.value('rocketmq_transaction_checks_total', { topic, answer: 'commit' }) ?? 0) > 0,
    );
    const ended = (outcome: string) => found.value('rocketmq_transactions_total', { topic, outcome });
    expect([ended('committed'), ended('rolled-back')]).toEqual([1, 1]);
  });

  it('are read without a look at any table of messages', async () => {
    await db.transaction(async (tx) => {
      // Whoever touches one of these now waits until the end of this transaction.
      await tx.query(
        'LOCK TABLE rmq_outbox, rmq_outbox_parked, rmq_inbox, rmq_transaction_log IN ACCESS EXCLUSIVE MODE',
      );
      const found = await scrape();
      expect(found.value('rocketmq_outbox_pending_messages')).toBe(0);
      expect(found.value('rocketmq_outbox_parked_messages', { state: 'dead' })).toBe(0);
      expect(found.value('rocketmq_outbox_unowned_lanes')).toBe(0);
    });
    expect((await scrape()).value('rocketmq_metrics_collect_errors_total')).toBeUndefined();
  });
});
