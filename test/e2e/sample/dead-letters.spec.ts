import { randomUUID } from 'node:crypto';
import { RocketMQTemplate } from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InventoryEvent } from '../../../sample-app/src/contracts/inventory-events.js';
import { OrderEvent } from '../../../sample-app/src/contracts/order-events.js';
import { eventually } from './eventually.js';
import { startSampleApp, type RunningSampleApp } from './sample-app.js';

interface Letter {
  readonly group: string;
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string;
  readonly body: string;
}

describe('dead letters of the shop', () => {
  let sample: RunningSampleApp;
  let template: RocketMQTemplate;

  beforeAll(async () => {
    sample = await startSampleApp();
    template = sample.app.get(RocketMQTemplate);
  });
  afterAll(() => sample?.close());

  const letterOf = (messageId: string): Promise<Letter> =>
    eventually(`a dead letter ${messageId}`, async () => {
      const letters = await sample.shop.get<Letter[]>('/operations/dead-letters');
      return letters.find((letter) => letter.messageId === messageId);
    });

  const redrive = ({ group, messageId }: Letter): Promise<Response> =>
    fetch(`${sample.url}/operations/dead-letters/${group}/${messageId}/redrive`, {
      method: 'POST',
      headers: { 'x-operator-key': 'test' },
    });

  it('a message that makes no sense is shown to the operator, with where it came from', async () => {
    const nonsense = { orderId: randomUUID(), product: 'keyboard', quantity: -5 };
    const { messageId } = await template.send(OrderEvent.created, nonsense);
    expect(await letterOf(messageId)).toMatchObject({
      group: 'inventory',
      topic: 'orders',
      tag: 'created',
      body: JSON.stringify(nonsense),
    });
  });

  it('redriven once its cause is mended, it is handled as if nothing had happened', async () => {
    const orderId = randomUUID();
    const { messageId } = await template.send(InventoryEvent.reserved, { orderId });
    const letter = await letterOf(messageId);
    expect(letter).toMatchObject({ group: 'orders', topic: 'inventory', tag: 'reserved' });

    await sample.dataSource.query(`INSERT INTO orders VALUES ($1, 'keyboard', 1, 8900, 'pending', now())`, [
      orderId,
    ]);
    expect((await redrive(letter)).status).toBe(202);
    await eventually(
      'the order to go on',
      async () => (await sample.shop.find(orderId)).status === 'awaiting-payment',
    );
    expect((await redrive(letter)).status).toBe(404);
  });

  it('redriven in vain, it comes back', async () => {
    const { messageId } = await template.send(InventoryEvent.reserved, { orderId: randomUUID() });
    const letter = await letterOf(messageId);
    expect((await redrive(letter)).status).toBe(202);
    expect(await letterOf(messageId)).toMatchObject({ group: 'orders', topic: 'inventory' });
  });
});
