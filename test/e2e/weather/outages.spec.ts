import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFreshDatabase, type FreshDatabase } from '../../../scripts/demo/fresh-database.js';
import { countOutboxRows } from '../../../scripts/demo/outbox-rows.js';
import { SampleAppProcess } from '../../../scripts/demo/sample-app-process.js';
import { buildSampleApp } from '../../../scripts/demo/sample-build.js';
import { Shop, type HistoryView, type OrderView } from '../../../scripts/demo/shop.js';
import { startStack, type Stack, type StackPart } from '../../../scripts/stack/stack.js';
import { databaseUrl } from '../sample/database-url.js';
import { isBroker5 } from '../../support/broker.js';
import { eventually } from '../sample/eventually.js';

/** Retries as soon as in other tests; the last level is for payments. */
const DELAY_LEVELS = `${'1s '.repeat(17)}10m`;
/** Nobody is to be late here. */
const PAYMENT_WINDOW = isBroker5() ? 600_000 : { level: 18 };

describe('the shop in bad weather', () => {
  let stack: Stack;
  let broker: StackPart;
  let database: FreshDatabase;
  let app: SampleAppProcess;
  let shop: Shop;

  beforeAll(async () => {
    // Each is known as soon as it exists: if another fails, afterAll still stops it.
    await Promise.all([
      startStack({ name: 'weather', brokerConfig: { messageDelayLevel: DELAY_LEVELS } }).then(
        (started) => (stack = started),
      ),
      createFreshDatabase(databaseUrl()).then((created) => (database = created)),
      buildSampleApp(),
    ]);
    broker = stack.broker('broker-a');
    await startApp();
  });
  afterAll(async () => {
    await app?.stop();
    await Promise.all([stack?.stop(), database?.drop()]);
  });

  async function startApp(): Promise<void> {
    app = await SampleAppProcess.start({
      name: 'weather',
      databaseUrl: database.url,
      nameServer: stack.nameServer,
      paymentWindow: PAYMENT_WINDOW,
      operatorKey: 'weather',
    });
    shop = new Shop(app.url, 'weather');
  }

  async function place(): Promise<string> {
    const { status, body } = await shop.order('keyboard', 1);
    expect(status).toBe(201);
    return body.id;
  }

  async function reaches(
    orderId: string,
    status: string,
  ): Promise<OrderView & { readonly history: readonly HistoryView[] }> {
    let last: unknown;
    return eventually(
      () => `order to be ${status}: ${JSON.stringify(last)}\n${app.tail(40)}`,
      async () => {
        const order = await shop.find(orderId);
        last = order;
        return order.status === status && order;
      },
    );
  }

  /** The whole way, every step taken once. */
  async function payAndCheck(orderId: string): Promise<void> {
    await eventually('the payment to succeed', async () => (await shop.pay(orderId)).status === 200);
    const { history } = await reaches(orderId, 'paid');
    expect(history.map(({ status }) => status)).toEqual(['pending', 'awaiting-payment', 'paid']);
    await eventually('the reservation to be sold', async () => {
      const mine = (await shop.reservations()).filter((reservation) => reservation.orderId === orderId);
      return mine.length === 1 && mine[0]?.status === 'sold';
    });
    await checkBooks();
  }

  async function checkBooks(): Promise<void> {
    await eventually('the outbox to be empty', async () => (await countOutboxRows(database.url)) === 0);
    const reservations = await shop.reservations();
    const count = (wanted: string): number => reservations.filter(({ status }) => status === wanted).length;
    const keyboard = (await shop.stock()).find(({ product }) => product === 'keyboard');
    expect(keyboard).toMatchObject({ sold: count('sold'), reserved: count('held') });
  }

  it('the broker is stopped before an order is placed: the order is accepted, its event sent when the broker is back', async () => {
    await payAndCheck(await place());
    await broker.stop();
    const orderId = await place();
    expect(await shop.find(orderId)).toMatchObject({ status: 'pending' });
    expect(await countOutboxRows(database.url)).toBe(1);

    await broker.start();
    await reaches(orderId, 'awaiting-payment');
    await payAndCheck(orderId);
  });

  it('the name server is gone for a while: orders flow on, and a new application starts when it is back', async () => {
    const nameServer = stack.part('namesrv');
    await nameServer.stop();
    await payAndCheck(await place());

    await nameServer.start();
    await stack.ready();
    await app.stop();
    await startApp();
    await payAndCheck(await place());
  });

  // Nobody pays in what follows: the broker keeps the queues of an ordered listener locked for up to a minute for a
  // member that died without a word, and these tests need not wait for that.

  it('the application is killed between commit and send: its successor sends', async () => {
    await broker.kill();
    const orderId = await place();
    await app.kill();
    expect(await countOutboxRows(database.url)).toBe(1);

    await broker.start();
    await startApp();
    await reaches(orderId, 'awaiting-payment');
    await checkBooks();
  });

  it('the application is killed between send and acknowledgement: sent again, with one effect', async () => {
    broker.pause();
    const orderId = await place();
    await app.kill();
    broker.resume();

    await startApp();
    const { history } = await reaches(orderId, 'awaiting-payment');
    expect(history.map(({ status }) => status)).toEqual(['pending', 'awaiting-payment']);
    await checkBooks();
  });
});
