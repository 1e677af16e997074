import { randomUUID } from 'node:crypto';
import { RocketMQTemplate } from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InventoryEvent } from '../../../sample-app/src/contracts/inventory-events.js';
import { OrderEvent } from '../../../sample-app/src/contracts/order-events.js';
import type { DeadLetterView } from '../../../sample-app/src/operations/dead-letters.controller.js';
import { eventually } from './eventually.js';
import { startSampleApp, type RunningSampleApp } from './sample-app.js';

describe('dead letters of the shop', () => {
  let sample: RunningSampleApp;
  let template: RocketMQTemplate;

  beforeAll(async () => {
    sample = await startSampleApp();
    template = sample.app.get(RocketMQTemplate);
  });
  afterAll(() => sample?.close());

  async function lettersOf(group: string, messageId: string): Promise<readonly DeadLetterView[]> {
    const { items } = await sample.shop.get<{ items: readonly DeadLetterView[] }>(
      `/operations/dead-letters/${group}`,
    );
    return items.filter((letter) => letter.messageId === messageId);
  }

  const deadLetter = (group: string, messageId: string): Promise<DeadLetterView> =>
    eventually(`a dead letter ${messageId}`, async () => (await lettersOf(group, messageId))[0]);

  const redrive = (group: string, messageId: string): Promise<Response> =>
    fetch(`${sample.url}/operations/dead-letters/${group}/${messageId}/redrive`, {
      method: 'POST',
      headers: { 'x-operator-key': 'test' },
    });

  it('a message that makes no sense is shown to the operator, with the reason and where it came from', async () => {
    const nonsense = { orderId: randomUUID(), product: 'keyboard', quantity: -5 };
    const { messageId } = await template.send(OrderEvent.created, nonsense);
    expect(await deadLetter('inventory', messageId)).toMatchObject({
      topic: 'orders',
      tag: 'created',
      reason: expect.stringContaining('quantity must be a positive number') as string,
      body: JSON.stringify(nonsense),
    });
  });

  it('redriven once its cause is mended, it is handled as if nothing had happened, and only once', async () => {
    const orderId = randomUUID();
    const { messageId } = await template.send(InventoryEvent.reserved, { orderId });
    expect(await deadLetter('orders', messageId)).toMatchObject({
      topic: 'inventory',
      tag: 'reserved',
      reason: `there is no order ${orderId}`,
    });

    await sample.dataSource.query(`INSERT INTO orders VALUES ($1, 'keyboard', 1, 8900, 'pending', now())`, [
      orderId,
    ]);
    expect((await redrive('orders', messageId)).status).toBe(202);
    await eventually(
      'the order to go on',
      async () => (await sample.shop.find(orderId)).status === 'awaiting-payment',
    );

    const { duplicates } = await sample.shop.messaging();
    expect((await redrive('orders', messageId)).status).toBe(202);
    await eventually(
      'the second copy to be recognised',
      async () => (await sample.shop.messaging()).duplicates > duplicates,
    );
    expect((await sample.shop.find(orderId)).history).toHaveLength(1);
  });

  it('redriven in vain, it is a dead letter again', async () => {
    const { messageId } = await template.send(InventoryEvent.reserved, { orderId: randomUUID() });
    await deadLetter('orders', messageId);
    expect((await redrive('orders', messageId)).status).toBe(202);
    await eventually('a second letter', async () => (await lettersOf('orders', messageId)).length === 2);
  });

  it('one that does not exist cannot be redriven', async () => {
    expect((await redrive('orders', 'A'.repeat(32))).status).toBe(404);
  });
});
