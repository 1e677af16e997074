import { Injectable, type Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Payload,
  RejectMessage,
  RocketMQBatchListener,
  RocketMQConnections,
  RocketMQError,
  RocketMQEvents,
  RocketMQListener,
  RocketMQListenerRegistry,
  RocketMQModule,
  RocketMQTemplate,
} from 'nestjs-rocketmq';
import { RocketMQMetrics, RocketMQMetricsModule, type RocketMQMetricsOptions } from 'nestjs-rocketmq/metrics';
import { Counter, register, Registry } from 'prom-client';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MESSAGE_OVERHEAD_BYTES } from '../../../lib/client/consumer/process-queue.js';
import { countTransactions } from '../../../lib/metrics/database-metrics.js';
import { MetricSet } from '../../../lib/metrics/metric-set.js';
import { countOutbox } from '../../../lib/metrics/outbox-figures.js';
import { countSends } from '../../../lib/metrics/producer-metrics.js';
import { TopicLabels } from '../../../lib/metrics/topic-labels.js';
import { Scrape } from '../../support/scrape.js';
import { waitFor } from '../../support/wait-for.js';

type Order = { readonly id: number; readonly fail?: 'once' | 'reject' };

@Injectable()
class Shop {
  readonly seen: number[] = [];
  held: Promise<void> | undefined;

  @RocketMQListener({
    topic: 'orders',
    group: 'shop',
    startFrom: 'first',
    retry: 1,
    id: 'shop',
    timeout: '5m',
  })
  async onOrder(@Payload() { id, fail }: Order): Promise<void> {
    await this.held;
    this.seen.push(id);
    if (fail === 'reject') throw new RejectMessage('unknown');
    if (fail === 'once' && this.seen.filter((each) => each === id).length === 1) throw new Error('again');
  }

  @RocketMQBatchListener({ topic: 'clicks', group: 'clicks', startFrom: 'first', id: 'clicks' })
  onClicks(@Payload() clicks: readonly Order[]): void {
    this.seen.push(...clicks.map(({ id }) => id));
  }
}

/** Two versions of a handler in one group, of which an option chooses one. */
@Injectable()
class Versions {
  @RocketMQListener({ topic: 'orders', group: 'shop', startFrom: 'first', id: 'current' })
  onOrder(): void {}

  @RocketMQListener({ topic: 'orders', group: 'shop', startFrom: 'first', id: 'former', enabled: false })
  onOrderFormerly(): void {}
}

@Injectable()
class Caches {
  @RocketMQListener({ topic: 'orders', group: 'shop', startFrom: 'first', id: 'shop' })
  onOrder(): void {}

  @RocketMQListener({ topic: 'orders', group: 'cache', model: 'broadcasting', id: 'cache' })
  onEveryInstance(): void {}
}

const apps: TestingModule[] = [];

async function application(
  options?: RocketMQMetricsOptions,
  providers: Type[] = [Shop],
): Promise<TestingModule> {
  const app = await Test.createTestingModule({
    imports: [
      RocketMQModule.forRoot({ engine: 'memory', topics: 'create', logging: false }),
      RocketMQMetricsModule.forRoot(options),
    ],
    providers,
  }).compile();
  await app.init();
  apps.push(app);
  return app;
}

const scrape = async (app: TestingModule): Promise<Scrape> =>
  new Scrape(await app.get(RocketMQMetrics).text());

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

describe('metrics', () => {
  const shop = { connection: 'default', listener: 'shop', group: 'shop', topic: 'orders' };

  it('count what was sent and what became of it, with the time it took', async () => {
    const app = await application({ registry: new Registry() });
    const template = app.get(RocketMQTemplate);
    await template.send('orders', { id: 1 });
    await template.send('orders', { id: 2, fail: 'once' });
    await template.send('orders', { id: 3, fail: 'reject' });
    await template.sendBatch('clicks', [{ id: 4 }, { id: 5 }]);
    await expect(template.send('orders', {}, { headers: { KEYS: 'x' } })).rejects.toThrow();
    await waitFor(() => app.get(Shop).seen.length === 6);
    const counted = await waitFor(async () => {
      const found = await scrape(app);
      return found.value('rocketmq_listener_messages_total', { outcome: 'handled' }) === 4 && found;
    });

    expect(counted.value('rocketmq_producer_messages_total', { topic: 'orders', result: 'sent' })).toBe(3);
    expect(counted.value('rocketmq_producer_messages_total', { topic: 'orders', result: 'failed' })).toBe(1);
    expect(counted.value('rocketmq_producer_messages_total', { topic: 'clicks', result: 'sent' })).toBe(2);
    expect(counted.value('rocketmq_producer_send_duration_seconds_count', { topic: 'orders' })).toBe(4);

    const outcome = (name: string) =>
      counted.value('rocketmq_listener_messages_total', { ...shop, outcome: name });
    expect([outcome('handled'), outcome('retried'), outcome('rejected')]).toEqual([2, 1, 1]);
    expect(counted.value('rocketmq_listener_duration_seconds_count', { ...shop, result: 'handled' })).toBe(2);
    expect(counted.value('rocketmq_listener_duration_seconds_count', { ...shop, result: 'failed' })).toBe(2);
    expect(counted.value('rocketmq_listener_delivery_delay_seconds_count', shop)).toBe(4);
  });

  it('show what listeners and connections are doing now', async () => {
    const app = await application({ registry: new Registry() });
    let release = (): void => undefined;
    app.get(Shop).held = new Promise((resolve) => (release = resolve));
    await app.get(RocketMQTemplate).send('orders', { id: 1 });
    const consumer = { connection: 'default', group: 'shop' };
    const busy = await waitFor(async () => {
      const found = await scrape(app);
      return found.value('rocketmq_consumer_in_flight', consumer) === 1 && found;
    });
    expect(busy.value('rocketmq_consumer_cached_messages', consumer)).toBe(1);
    expect(busy.value('rocketmq_consumer_cached_bytes', consumer)).toBe(8 + MESSAGE_OVERHEAD_BYTES);
    expect(busy.value('rocketmq_consumer_lag_messages', { ...consumer, topic: 'orders' })).toBeDefined();
    expect(busy.value('rocketmq_consumer_queues', { ...consumer, topic: 'orders' })).toBeGreaterThan(0);
    expect(busy.value('rocketmq_listener_state', { ...shop, state: 'running' })).toBe(1);
    expect(busy.value('rocketmq_connection_state', { connection: 'default', state: 'up' })).toBe(1);

    release();
    app.get(RocketMQListenerRegistry).pause('shop');
    const idle = await waitFor(async () => {
      const found = await scrape(app);
      return found.value('rocketmq_consumer_in_flight', consumer) === 0 && found;
    });
    expect(idle.value('rocketmq_consumer_cached_messages', consumer)).toBe(0);
    expect(idle.value('rocketmq_listener_state', { ...shop, state: 'running' })).toBe(0);
    expect(idle.value('rocketmq_listener_state', { ...shop, state: 'paused' })).toBe(1);
  });

  it('have names and units as Prometheus wants them, and no label that grows with the messages', async () => {
    const app = await application({ registry: new Registry() });
    await app.get(RocketMQTemplate).send('orders', { id: 1 });
    const found = await scrape(app);
    const types = new Map(
      [...found.text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map(([, name = '', type = '']) => [name, type]),
    );
    expect(types.size).toBeGreaterThan(15);
    for (const [name, type] of types) {
      expect(name).toMatch(/^rocketmq_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
    }
    const labels = new Set(found.samples.flatMap((sample) => Object.keys(sample.labels)));
    const bounded = ['connection', 'group', 'topic', 'listener', 'state', 'outcome', 'result', 'le'];
    expect([...labels].filter((label) => !bounded.includes(label))).toEqual([]);
  });

  it('stay few when an application makes up topics', async () => {
    const app = await application({ registry: new Registry(), maxTopics: 2 }, []);
    const events = app.get(RocketMQEvents);
    for (const topic of ['a', 'b', 'c', 'd', 'a']) {
      events.emit('message.sent', { connection: 'default', topic, messageId: 'A', durationMs: 1 });
    }
    const found = await scrape(app);
    expect(found.value('rocketmq_producer_messages_total', { topic: 'a' })).toBe(2);
    expect(found.value('rocketmq_producer_messages_total', { topic: 'other' })).toBe(2);
    expect(found.value('rocketmq_producer_messages_total', { topic: 'c' })).toBeUndefined();
  });

  it('count the same topics, whether template, outbox or transactions send to them', async () => {
    const registry = new Registry();
    const set = new MetricSet(registry, '');
    const events = new RocketMQEvents();
    const topics = new TopicLabels(2);
    countSends(set, events, topics, [1]);
    countOutbox(set, events, topics, [1]);
    countTransactions(set, events, topics, [1]);
    const connection = 'default';
    const error = new Error('refused');
    events.emit('message.sent', { connection, topic: 'sent', messageId: 'A', durationMs: 1 });
    for (const topic of ['written', 'a', 'b']) {
      events.emit('outbox.dispatched', { connection, topic, count: 1, sendMs: 1, agesMs: [1] });
      events.emit('outbox.backoff', { connection, topic, rows: 1, delayMs: 1, error });
      events.emit('outbox.parked', { lane: 0, topic, messageId: 'A', attempts: 1, dueAt: undefined, error });
      events.emit('transaction.ended', {
        group: 'shop',
        topic,
        messageId: 'A',
        outcome: 'committed',
        via: 'half-message',
        durationMs: 1,
      });
      events.emit('transaction.checked', {
        group: 'shop',
        topic,
        messageId: 'A',
        resolution: 'commit',
        durationMs: 1,
      });
    }
    const { samples } = new Scrape(await registry.metrics());
    const labels = new Set(samples.flatMap(({ labels: { topic } }) => topic ?? []));
    expect(labels).toEqual(new Set(['sent', 'written', 'other']));
  });

  it('of a group are those of the consumer it has, whatever listeners are disabled in it', async () => {
    const app = await application({ registry: new Registry() }, [Versions]);
    const consumer = { connection: 'default', group: 'shop' };
    const found = await waitFor(async () => {
      const now = await scrape(app);
      return now.value('rocketmq_consumer_queues', consumer)! > 0 && now;
    });
    expect(found.value('rocketmq_listener_state', { listener: 'former', state: 'disabled' })).toBe(1);
    expect(found.value('rocketmq_listener_state', { listener: 'current', state: 'running' })).toBe(1);
  });

  it('leave out the lag of broadcasting listeners, whose offsets no broker knows', async () => {
    const app = await application({ registry: new Registry() }, [Caches]);
    const { admin } = app.get(RocketMQConnections).get().client;
    const asked = vi.spyOn(admin, 'lag');
    await scrape(app);
    expect(asked.mock.calls).toEqual([['shop', 'orders']]);
    const models = app.get(RocketMQListenerRegistry).list();
    expect(models.map(({ id, model }) => [id, model])).toEqual([
      ['shop', 'clustering'],
      ['cache', 'broadcasting'],
    ]);
  });

  it('are all in the registry or none: a name that is taken leaves nothing behind', async () => {
    const registry = new Registry();
    const name = 'rocketmq_listener_state';
    registry.registerMetric(new Counter({ name, help: 'of somebody else', registers: [] }));
    await expect(application({ registry })).rejects.toThrow(`a metric "${name}" already`);
    expect(registry.getMetricsAsArray().map((metric) => metric.name)).toEqual([name]);
  });

  it('answer a scrape although the brokers do not, and say so', async () => {
    const app = await application({ registry: new Registry(), collectTimeoutMs: 20, lagEveryMs: 0 });
    const { admin } = app.get(RocketMQConnections).get().client;
    vi.spyOn(admin, 'lag').mockReturnValue(new Promise(() => undefined));
    await scrape(app);
    const found = await scrape(app);
    expect(found.value('rocketmq_metrics_collect_errors_total', { source: 'lag' })).toBe(1);
    expect(found.value('rocketmq_consumer_lag_messages')).toBeUndefined();
    expect(found.value('rocketmq_listener_state', { ...shop, state: 'running' })).toBe(1);
  });

  it('of several applications in one process keep apart, each in its registry', async () => {
    const [one, other] = [
      await application({ registry: new Registry() }),
      await application({ registry: new Registry() }),
    ];
    await one.get(RocketMQTemplate).send('orders', { id: 1 });
    expect((await scrape(one)).value('rocketmq_producer_messages_total')).toBe(1);
    expect((await scrape(other)).value('rocketmq_producer_messages_total')).toBeUndefined();
  });

  it('go to the global registry unless told otherwise, which a second application cannot share', async () => {
    const app = await application();
    expect(await register.metrics()).toContain('rocketmq_listener_state');
    expect(app.get(RocketMQMetrics).contentType).toBe(register.contentType);
    const failure = await application().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RocketMQError);
    expect((failure as Error).message).toContain('Give RocketMQMetricsModule.forRoot a registry');
    await app.close();
    expect(await register.metrics()).not.toContain('rocketmq_');
    apps.length = 0;
    await application({ prefix: 'shop_rocketmq_' });
    expect(await register.metrics()).toContain('shop_rocketmq_listener_state');
  });
});

it('is refused without RocketMQModule, with the remedy', async () => {
  const app = await Test.createTestingModule({ imports: [RocketMQMetricsModule.forRoot()] }).compile();
  await expect(app.init()).rejects.toThrow('Import RocketMQModule.forRoot');
});
