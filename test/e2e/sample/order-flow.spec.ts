import { RocketMQTemplate } from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PaymentEvent } from '../../../sample-app/src/contracts/payment-events.js';
import { eventually } from './eventually.js';
import { LONG_WINDOW, SHORT_WINDOW, startSampleApp, type RunningSampleApp } from './sample-app.js';

describe('an order flows through the shop', () => {
  let patient: RunningSampleApp;
  let hasty: RunningSampleApp;

  beforeAll(async () => {
    [patient, hasty] = await Promise.all([startSampleApp(LONG_WINDOW), startSampleApp(SHORT_WINDOW)]);
  });
  afterAll(() => Promise.all([patient?.close(), hasty?.close()]));

  async function place({ shop }: RunningSampleApp, product: string, quantity: number): Promise<string> {
    const { status, body } = await shop.order(product, quantity);
    expect(status).toBe(201);
    return body.id;
  }

  const reaches = async ({ shop }: RunningSampleApp, orderId: string, status: string) =>
    eventually(`order ${orderId} to be ${status}`, async () => {
      const order = await shop.find(orderId);
      return order.status === status && order;
    });

  const stockOf = async ({ shop }: RunningSampleApp, product: string) =>
    (await shop.stock()).find((stock) => stock.product === product)!;

  const paymentOf = async (
    { dataSource }: RunningSampleApp,
    orderId: string,
  ): Promise<string | undefined> => {
    const rows: { status: string }[] = await dataSource.query(
      'SELECT status FROM payments WHERE order_id = $1',
      [orderId],
    );
    return rows[0]?.status;
  };

  const paid = async (sample: RunningSampleApp, orderId: string) =>
    eventually('the payment to be due', async () => {
      const answer = await sample.shop.pay(orderId);
      return answer.status !== 404 && answer;
    });

  it('placed, reserved, paid, sold', async () => {
    const before = await stockOf(patient, 'keyboard');
    const id = await place(patient, 'keyboard', 2);
    await reaches(patient, id, 'awaiting-payment');
    expect(await stockOf(patient, 'keyboard')).toMatchObject({ reserved: before.reserved + 2 });

    expect((await paid(patient, id)).status).toBe(200);
    const order = await reaches(patient, id, 'paid');
    expect(order.history.map(({ status }) => status)).toEqual(['pending', 'awaiting-payment', 'paid']);
    const sold = await eventually('the goods to be sold', async () => {
      const stock = await stockOf(patient, 'keyboard');
      return stock.sold === before.sold + 2 && stock;
    });
    expect(sold).toMatchObject({ available: before.available - 2, reserved: before.reserved });
  });

  it('more than there is: rejected, and the stock is as before', async () => {
    const before = await stockOf(patient, 'monitor');
    const id = await place(patient, 'monitor', before.available + 1);
    const order = await reaches(patient, id, 'rejected');
    expect(order.history.at(-1)?.note).toContain('not enough of monitor');
    expect(await stockOf(patient, 'monitor')).toEqual(before);
    expect((await patient.shop.pay(id)).status).toBe(404);
  });

  it('nobody pays: cancelled by the delayed message, and the goods come back', async () => {
    const before = await stockOf(hasty, 'headset');
    const id = await place(hasty, 'headset', 4);
    const order = await reaches(hasty, id, 'cancelled');
    expect(order.history.map(({ status }) => status)).toEqual(['pending', 'awaiting-payment', 'cancelled']);
    await eventually(
      'the goods to come back',
      async () => (await stockOf(hasty, 'headset')).available === before.available,
    );
    expect(await stockOf(hasty, 'headset')).toEqual(before);
    await eventually('the payment to be closed', async () => (await paymentOf(hasty, id)) === 'closed');
    expect((await hasty.shop.pay(id)).status).toBe(409);
  });

  it('two payments at the same time: one succeeds, one is told', async () => {
    const id = await place(patient, 'headset', 1);
    await eventually('the payment to be due', async () => (await paymentOf(patient, id)) === 'due');
    const answers = await Promise.all([patient.shop.pay(id), patient.shop.pay(id), patient.shop.pay(id)]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409, 409]);
    const order = await reaches(patient, id, 'paid');
    expect(order.history.filter(({ status }) => status === 'paid')).toHaveLength(1);
  });

  it('paid while the deadline passed: the order stays cancelled, the money goes back', async () => {
    const id = await place(hasty, 'keyboard', 1);
    await eventually('the payment to be due', async () => (await paymentOf(hasty, id)) === 'due');
    // The money is there, and its message still on the way, when the deadline comes.
    await hasty.dataSource.query(`UPDATE payments SET status = 'paid' WHERE order_id = $1`, [id]);
    await reaches(hasty, id, 'cancelled');
    await eventually('the payment to be refunded', async () => (await paymentOf(hasty, id)) === 'refunded');

    await hasty.app.get(RocketMQTemplate).send(PaymentEvent.completed, { orderId: id, amount: 8_900 });
    await eventually('the late payment in the history', async () =>
      (await hasty.shop.find(id)).history.some(({ note }) => note.includes('too late')),
    );
    expect((await hasty.shop.find(id)).status).toBe('cancelled');
  });
});
