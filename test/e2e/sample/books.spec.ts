import { createRocketMQClient, type ReceivedMessage, type RocketMQClient } from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ORDERS } from '../../../sample-app/src/contracts/order-events.js';
import { countOutboxRows } from '../../../scripts/demo/outbox-rows.js';
import { nameServer } from '../../support/broker.js';
import { eventually } from './eventually.js';
import { SHORT_WINDOW, startSampleApp, type RunningSampleApp } from './sample-app.js';

const ORDER_COUNT = 60;

describe('the books of the shop', () => {
  let sample: RunningSampleApp;
  let stranger: RocketMQClient;

  beforeAll(async () => {
    sample = await startSampleApp(SHORT_WINDOW);
    stranger = createRocketMQClient({ nameServer: nameServer(), namespace: sample.namespace });
    await stranger.start();
  });
  afterAll(async () => {
    await stranger?.close();
    await sample?.close();
  });

  it(`are right after ${ORDER_COUNT} orders at once, with every event of an order delivered three times`, async () => {
    const producer = stranger.createProducer({ group: 'stranger' });
    await producer.start();
    const repeated = new Set<string>();
    const repeatOnce = async (message: ReceivedMessage): Promise<void> => {
      if (repeated.has(message.messageId)) return;
      repeated.add(message.messageId);
      const { topic, body, tag, keys, orderingKey, messageId } = message;
      const copy = { topic, body, tag, keys, orderingKey, messageId };
      await Promise.all([producer.send(copy), producer.send(copy)]);
    };
    const consumer = stranger.createPushConsumer({
      group: 'stranger',
      subscriptions: [{ topic: ORDERS }],
      startFrom: 'first',
      handler: async (messages) => {
        await Promise.all(messages.map(repeatOnce));
        return { action: 'ack' };
      },
    });
    await consumer.start();
    await consumer.whenAssigned();

    const placed = await Promise.all(
      Array.from({ length: ORDER_COUNT }, (_, n) =>
        sample.shop.order(['keyboard', 'monitor', 'headset'][n % 3]!, 1 + (n % 4)),
      ),
    );
    expect(placed.map(({ status }) => status)).toEqual(placed.map(() => 201));
    const toPay = placed.filter((_, n) => n % 2 === 0).map(({ body }) => body.id);
    await Promise.all(
      toPay.map((id) =>
        eventually(`order ${id} to be payable`, async () => {
          const [{ status: paid }, order] = [await sample.shop.pay(id), await sample.shop.find(id)];
          return paid !== 404 || order.status === 'rejected';
        }),
      ),
    );

    const orders = await eventually('every order to end', async () => {
      const orders = await sample.shop.orders();
      const done = orders.every(({ status }) => ['paid', 'rejected', 'cancelled'].includes(status));
      const outboxRows = await countOutboxRows(sample.databaseUrl);
      const held = (await sample.shop.reservations()).filter(({ status }) => status === 'held');
      return orders.length === ORDER_COUNT && done && outboxRows === 0 && held.length === 0 && orders;
    });
    // created + confirmed or not + paid or cancelled: each came three times, two of them for nothing
    const minimum = (await sample.shop.reservations()).length;
    await eventually(
      'the copies to be recognised',
      async () => (await sample.shop.messaging()).duplicates >= 2 * minimum,
    );

    for (const { product, initial, available, reserved, sold } of await sample.shop.stock()) {
      const paid = orders.filter((order) => order.product === product && order.status === 'paid');
      expect({ product, reserved, sold, sum: available + reserved + sold }).toEqual({
        product,
        reserved: 0,
        sold: paid.reduce((sum, { quantity }) => sum + quantity, 0),
        sum: initial,
      });
    }
    for (const { id } of orders) {
      const { history } = await sample.shop.find(id);
      // A payment that was late leaves a note without a step; each note is there once.
      const notes = history.map(({ note }) => note);
      expect(notes).toEqual([...new Set(notes)]);
    }
    expect(await sample.shop.messaging()).toMatchObject({ deadLettered: 0 });
  });
});
