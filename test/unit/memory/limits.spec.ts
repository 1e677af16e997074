import { afterEach, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import type { MemoryBrokerOptions } from '../../../lib/client/memory/memory-broker-options.js';
import { ACK } from '../../../lib/client/push-consumer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

describe('the limits of the in-process broker', () => {
  const clients: RocketMQClient[] = [];

  const open = async (options: MemoryBrokerOptions, clock = new FakeClock()): Promise<RocketMQClient> => {
    const broker = new MemoryBroker({ clock, ...options });
    const client = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
    clients.push(client);
    await client.start();
    return client;
  };

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  const full = { code: 'BROKER_BUSY', retryable: true };

  it('refuses what does not fit: messages, delayed ones and half messages alike', async () => {
    const client = await open({ maxMessages: 3 });
    const producer = client.createProducer({ group: 'p', maxAttempts: 1 });
    producer.setTransactionCheck(() => Promise.resolve('unknown'));
    await producer.start();
    const body = Buffer.from('x');
    await producer.send({ topic: 't', body });
    await producer.send({ topic: 't', body, delivery: { level: 18 } });
    const half = await producer.sendHalf({ topic: 't', body });
    await expect(producer.send({ topic: 't', body })).rejects.toMatchObject(full);
    await expect(producer.sendHalf({ topic: 't', body })).rejects.toMatchObject(full);
    await expect(producer.sendBatch([{ topic: 't', body }])).rejects.toMatchObject(full);
    await half.rollback();
  });

  it('takes back the room of messages that were recalled, rolled back or deleted', async () => {
    const clock = new FakeClock();
    const client = await open({ maxMessages: 3 }, clock);
    const producer = client.createProducer({ group: 'p', maxAttempts: 1 });
    producer.setTransactionCheck(() => Promise.resolve('unknown'));
    await producer.start();
    const body = Buffer.from('x');
    await producer.send({ topic: 'deleted', body });
    const timer = await producer.send({ topic: 't', body, delivery: { afterMs: 3_600_000 } });
    const half = await producer.sendHalf({ topic: 't', body });
    await client.admin.deleteTopic('deleted');
    await producer.recall('t', timer.recallHandle!);
    await half.rollback();
    // The end of a half message is noted by the next round of checks.
    await clock.advance(60_000);
    for (let index = 0; index < 3; index++) await producer.send({ topic: 't', body });
    await expect(producer.send({ topic: 't', body })).rejects.toMatchObject(full);
  });

  it('counts bytes as well', async () => {
    const client = await open({ maxBytes: 10_000 });
    const producer = client.createProducer({ group: 'p', maxAttempts: 1 });
    await producer.start();
    await producer.send({ topic: 't', body: Buffer.alloc(9_000) });
    await expect(producer.send({ topic: 't', body: Buffer.alloc(1_000) })).rejects.toMatchObject(full);
  });

  it('forgets what every group has consumed, and nothing else', async () => {
    const clock = new FakeClock();
    const client = await open({ maxMessages: 100 }, clock);
    await client.admin.createTopic('t', { queues: 1 });
    const producer = client.createProducer({ group: 'p', maxAttempts: 1 });
    await producer.start();
    const seen = { quick: 0, slow: 0 };
    const consumers = new Map(
      (['quick', 'slow'] as const).map((group) => [
        group,
        client.createPushConsumer({
          group,
          subscriptions: [{ topic: 't' }],
          handler: () => {
            seen[group]++;
            return Promise.resolve(ACK);
          },
        }),
      ]),
    );
    for (const consumer of consumers.values()) await consumer.start();
    consumers.get('slow')!.pause();
    await clock.settle();
    for (let index = 0; index < 100; index++) await producer.send({ topic: 't', body: Buffer.from('x') });
    await clock.advance(10_000);
    expect(seen).toEqual({ quick: 100, slow: 0 });
    await expect(producer.send({ topic: 't', body: Buffer.from('x') })).rejects.toMatchObject(full);
    consumers.get('slow')!.resume();
    await clock.advance(10_000);
    expect(seen.slow).toBe(100);
    for (let index = 0; index < 100; index++) await producer.send({ topic: 't', body: Buffer.from('y') });
    expect((await client.admin.offsets('t')).get('memory:0')).toEqual({ min: 100, max: 200 });
    await clock.advance(10_000);
    expect(seen).toEqual({ quick: 200, slow: 200 });
  });

  it('refuses bodies above the size of the broker, whatever the producer allows', async () => {
    const client = await open({ maxMessageSize: 1_000 });
    const producer = client.createProducer({ group: 'p' });
    await producer.start();
    await expect(producer.send({ topic: 't', body: Buffer.alloc(1_001) })).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
      retryable: false,
    });
  });

  it('refuses topics that do not exist where they are not to be created by a send', async () => {
    const client = await open({ autoCreateTopics: false });
    const producer = client.createProducer({ group: 'p' });
    await producer.start();
    const send = (): Promise<unknown> => producer.send({ topic: 't', body: Buffer.from('x') });
    await expect(send()).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND', retryable: false });
    await client.admin.createTopic('t');
    await send();
  });

  it('keeps clients with brokers of their own apart', async () => {
    const [one, two] = [
      createRocketMQClient({ engine: 'memory' }),
      createRocketMQClient({ engine: 'memory' }),
    ];
    clients.push(one, two);
    await one.admin.createTopic('t');
    expect([await one.admin.topicExists('t'), await two.admin.topicExists('t')]).toEqual([true, false]);
  });

  it('refuses a second client of one name, and something that is no broker', async () => {
    const broker = new MemoryBroker();
    const options = { engine: 'memory', memory: { broker }, instanceName: 'one' } as const;
    const first = createRocketMQClient(options);
    expect(() => createRocketMQClient(options)).toThrow(/connected/);
    await first.close();
    await createRocketMQClient(options).close();
    const fake = { name: 'fake', close: () => undefined };
    expect(() => createRocketMQClient({ engine: 'memory', memory: { broker: fake } })).toThrow(
      /MemoryBroker/,
    );
  });
});
