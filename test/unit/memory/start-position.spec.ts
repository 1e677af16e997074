import { expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { BrokerFaults } from '../../../lib/client/memory/broker-faults.js';
import { MemoryBroker } from '../../../lib/client/memory/memory-broker.js';
import { ACK } from '../../../lib/client/push-consumer.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

it('a queue that was used before the group knew of it is not skipped', async () => {
  const clock = new FakeClock();
  const faults: { -readonly [K in keyof BrokerFaults]: BrokerFaults[K] } = {};
  const broker = new MemoryBroker({ clock, faults });
  const client = createRocketMQClient({ engine: 'memory', memory: { broker }, clock });
  await client.start();
  await client.admin.createTopic('orders', { queues: 1 });
  const producer = client.createProducer({ group: 'shop' });
  await producer.start();
  await producer.send({ topic: 'orders', body: Buffer.from('before the group began') });
  await clock.advance(1);
  const bodies: string[] = [];
  const consumer = client.createPushConsumer({
    group: 'stock',
    subscriptions: [{ topic: 'orders' }],
    startFrom: 'last',
    handler: async (messages) => {
      bodies.push(...messages.map(({ body }) => body.toString()));
      return ACK;
    },
  });
  await consumer.start();
  await clock.settle();
  await consumer.whenAssigned();

  // The consumer is slow to take the new queue.
  faults.onRequest = ({ kind }) => (kind === 'members' ? { delayMs: 1_000 } : undefined);
  await client.admin.createTopic('orders', { queues: 2 });
  const queue = { topic: 'orders', brokerName: broker.name, queueId: 1 };
  await producer.send({ topic: 'orders', body: Buffer.from('meanwhile') }, { queue });
  await clock.advance(5_000);

  expect(bodies).toEqual(['meanwhile']);
  faults.onRequest = undefined;
  const closing = client.close();
  await clock.advance(60_000);
  await closing;
  broker.close();
});
