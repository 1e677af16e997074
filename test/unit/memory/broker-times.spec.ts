import { afterEach, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { GIVEN_UP_TOPIC } from '../../../lib/client/memory/half-messages.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import type { Producer } from '../../../lib/client/producer.js';
import {
  ACK,
  RETRY,
  type ConsumeResult,
  type PushConsumerOptions,
} from '../../../lib/client/push-consumer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe('the in-process broker on a clock that is moved by hand', () => {
  let clock: FakeClock;
  let broker: MemoryBroker;
  let client: RocketMQClient;
  let producer: Producer;

  const open = async (): Promise<void> => {
    clock = new FakeClock();
    broker = new MemoryBroker({ clock });
    client = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
    await client.start();
    await client.admin.createTopic('orders', { queues: 1 });
    producer = client.createProducer({ group: 'shop' });
    await producer.start();
  };

  afterEach(async () => {
    const closing = client.close();
    await clock.advance(MINUTE);
    await closing;
    broker.close();
  });

  /** Seconds since the start at which the handler was called, with the attempt. */
  const consume = async (
    handle: (attempt: number) => ConsumeResult | Promise<ConsumeResult>,
    options: Partial<PushConsumerOptions> = {},
  ): Promise<string[]> => {
    const deliveries: string[] = [];
    const startedAt = clock.now();
    const consumer = client.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      ...options,
      handler: ([message]) => {
        deliveries.push(`${(clock.now() - startedAt) / SECOND}s/${message!.attempt}`);
        return Promise.resolve(handle(message!.attempt));
      },
    });
    await consumer.start();
    await consumer.whenAssigned();
    return deliveries;
  };

  const send = (delivery?: { afterMs: number } | { at: number } | { level: number }): Promise<unknown> =>
    producer.send({ topic: 'orders', body: Buffer.from('x'), delivery });

  it('retries after 10 s, 30 s, 1 min and so on up to 2 h, and gives up after 16 retries', async () => {
    await open();
    const deliveries = await consume(() => RETRY);
    await send();
    await clock.advance(24 * 60 * MINUTE);
    const minutes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((delay) => delay * 60);
    const expected = ['0s/1'];
    let at = 0;
    for (const [index, delay] of [10, 30, ...minutes].entries()) {
      at += delay;
      expected.push(`${at}s/${index + 2}`);
    }
    expect(deliveries).toEqual(expected);
    expect(broker.messagesOf('%DLQ%warehouse')).toHaveLength(1);
    expect(broker.delayedCount).toBe(0);
  });

  it('delivers delay levels and timers at their time, not earlier', async () => {
    await open();
    const deliveries = await consume(() => ACK);
    await send({ level: 2 });
    await send({ afterMs: 3 * SECOND });
    await send({ at: clock.now() + 7 * SECOND });
    await clock.advance(2_999);
    expect(deliveries).toEqual([]);
    await clock.advance(10 * SECOND);
    expect(deliveries).toEqual(['3s/1', '5s/1', '7s/1']);
  });

  it('keeps the order of messages that are due at the same time', async () => {
    await open();
    const bodies: string[] = [];
    const consumer = client.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      mode: 'orderly',
      handler: ([message]) => {
        bodies.push(message!.body.toString());
        return Promise.resolve(ACK);
      },
    });
    await consumer.start();
    await consumer.whenAssigned();
    const names = Array.from({ length: 20 }, (_, index) => `m${index}`);
    for (const name of names) {
      await producer.send({ topic: 'orders', body: Buffer.from(name), delivery: { afterMs: 500 } });
    }
    await clock.advance(SECOND);
    expect(bodies).toEqual(names);
  });

  it('retries after the smallest delay level that is not shorter than the delay asked for', async () => {
    await open();
    const deliveries = await consume((attempt) =>
      attempt === 1 ? { action: 'retry', delayMs: 4 * SECOND } : ACK,
    );
    await send();
    await clock.advance(MINUTE);
    expect(deliveries).toEqual(['0s/1', '5s/2']);
  });

  it('suspends an orderly queue for the time asked for, to the millisecond', async () => {
    await open();
    const deliveries = await consume(
      (attempt) => (attempt === 1 ? { action: 'retry', delayMs: 4 * SECOND } : attempt === 2 ? RETRY : ACK),
      { mode: 'orderly' },
    );
    await send();
    await clock.advance(MINUTE);
    expect(deliveries).toEqual(['0s/1', '4s/2', '5s/3']);
  });

  it('sends a message back whose handler runs longer than its time', async () => {
    await open();
    const deliveries = await consume(
      (attempt) => (attempt === 1 ? new Promise<ConsumeResult>(() => undefined) : ACK),
      { consumeTimeoutMs: 20 * SECOND },
    );
    await send();
    await clock.advance(MINUTE);
    expect(deliveries).toEqual(['0s/1', '30s/2']);
  });

  it('asks about a half message 15 times, every 30 s, and then gives it up', async () => {
    await open();
    const asked: number[] = [];
    const startedAt = clock.now();
    producer.setTransactionCheck(() => {
      asked.push((clock.now() - startedAt) / SECOND);
      return Promise.resolve('unknown');
    });
    const deliveries = await consume(() => ACK);
    await producer.sendHalf({ topic: 'orders', body: Buffer.from('half') });
    await clock.advance(60 * MINUTE);
    expect(asked).toEqual(Array.from({ length: 15 }, (_, index) => 30 * (index + 1)));
    expect(broker.halfCount).toBe(0);
    expect(broker.messagesOf(GIVEN_UP_TOPIC)).toHaveLength(1);
    expect(deliveries).toEqual([]);
  });

  it('does not ask about a half message that is younger than its timeout', async () => {
    await open();
    let asked = 0;
    producer.setTransactionCheck(() => {
      asked++;
      return Promise.resolve('unknown');
    });
    await producer.sendHalf({ topic: 'orders', body: Buffer.from('first') });
    await clock.advance(25 * SECOND);
    await producer.sendHalf({ topic: 'orders', body: Buffer.from('young') });
    await clock.advance(10 * SECOND);
    expect(asked).toBe(1);
  });

  it('may ask once more about a half message that has just ended, as brokers of RocketMQ 5 do', async () => {
    await open();
    let asked = 0;
    producer.setTransactionCheck(() => {
      asked++;
      return Promise.resolve('commit');
    });
    const deliveries = await consume(() => ACK);
    const half = await producer.sendHalf({ topic: 'orders', body: Buffer.from('x') });
    await clock.advance(28 * SECOND);
    await half.commit();
    await clock.advance(10 * MINUTE);
    expect(asked).toBe(1);
    expect(deliveries).toEqual(['28s/1', '30s/1']);
    const ids = broker.messagesOf('orders').map(({ properties }) => properties['UNIQ_KEY']);
    expect(ids).toEqual([half.receipt.messageId, half.receipt.messageId]);
  });

  it('hands a queue of a consumer that died at once to another, and its orderly lock after a minute', async () => {
    await open();
    const dead: string[] = [];
    const other = createRocketMQClient({
      engine: 'memory',
      memory: { broker },
      clock,
      instanceName: 'other',
    });
    await other.start();
    const doomed = other.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      mode: 'orderly',
      handler: ([message]) => {
        dead.push(message!.body.toString());
        return new Promise(() => undefined);
      },
    });
    await doomed.start();
    await doomed.whenAssigned();
    await send();
    await clock.settle();
    expect(dead).toEqual(['x']);
    broker.disconnect(other.clientId);
    expect(other.state).toBe('closed');
    const startedAt = clock.now();
    const deliveries: number[] = [];
    const heir = client.createPushConsumer({
      group: 'warehouse',
      subscriptions: [{ topic: 'orders' }],
      mode: 'orderly',
      handler: () => {
        // A round of sharing out may have to come first.
        deliveries.push(Math.floor((clock.now() - startedAt) / SECOND));
        return Promise.resolve(ACK);
      },
    });
    await heir.start();
    await clock.advance(55 * SECOND);
    expect(deliveries).toEqual([]);
    await clock.advance(10 * SECOND);
    expect(deliveries).toEqual([60]);
  });

  it('does the same at the same times in every run with the same clock and random source', async () => {
    const run = async (): Promise<unknown> => {
      await open();
      broker.close();
      let seed = 7;
      const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
      broker = new MemoryBroker({ clock, random });
      const shop = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
      await shop.start();
      const events: unknown[] = [shop.clientId];
      const sender = shop.createProducer({ group: 'shop' });
      await sender.start();
      await shop.admin.createTopic('orders');
      const consumer = shop.createPushConsumer({
        group: 'warehouse',
        subscriptions: [{ topic: 'orders' }],
        handler: ([message]) => {
          events.push([clock.now(), message!.messageId, message!.attempt, message!.offsetMessageId]);
          return Promise.resolve(message!.attempt < 3 ? RETRY : ACK);
        },
      });
      await consumer.start();
      await consumer.whenAssigned();
      for (let index = 0; index < 10; index++) {
        events.push(await sender.send({ topic: 'orders', body: Buffer.from(`m${index}`) }));
      }
      await clock.advance(5 * MINUTE);
      await shop.close();
      return events;
    };
    const first = await run();
    expect(await run()).toEqual(first);
    expect(first).toHaveLength(1 + 10 + 30);
  });

  it('leaves no timer behind when clients and broker are closed', async () => {
    await open();
    await consume(() => RETRY);
    await send();
    await send({ afterMs: MINUTE });
    producer.setTransactionCheck(() => Promise.resolve('unknown'));
    await producer.sendHalf({ topic: 'orders', body: Buffer.from('half') });
    await clock.advance(SECOND);
    await client.close();
    broker.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
