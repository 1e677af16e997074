import type { Narrator } from './narrator.js';
import { countOutboxRows } from './outbox-rows.js';
import type { Cases } from './scenario.js';
import type { MessagingView, Shop } from './shop.js';
import { until } from './until.js';

export interface Settled {
  readonly messaging: MessagingView;
  readonly outboxRows: number;
}

/** Waits until nothing is under way any more: outbox empty, injected duplicates recognised, no goods held. */
export async function settle(shop: Shop, databaseUrl: string, { cases, injected }: Cases): Promise<Settled> {
  return until('everything to settle', async () => {
    const [messaging, reservations, outboxRows] = await Promise.all([
      shop.messaging(),
      shop.reservations(),
      countOutboxRows(databaseUrl),
    ]);
    const ours = reservations.filter(({ orderId }) => cases.some((entry) => entry.orderId === orderId));
    const quiet = outboxRows === 0 && ours.every(({ status }) => status !== 'held');
    return quiet && messaging.duplicates >= injected && { messaging, outboxRows };
  });
}

/**
 * Compares what the services say with each other. Every line is a promise of the library, seen from outside.
 * @returns what is wrong; empty when the books are right
 */
export async function checkBooks(
  shop: Shop,
  { cases, injected }: Cases,
  { messaging, outboxRows }: Settled,
  { print }: Narrator,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const check = (ok: boolean, text: string): void => {
    print(`  ${ok ? 'ok   ' : 'WRONG'}  ${text}`);
    if (!ok) wrong.push(text);
  };

  const orders = await shop.orders();
  for (const { product, initial, available, reserved, sold } of await shop.stock()) {
    check(
      available + reserved + sold === initial,
      `${product}: ${available} available + ${reserved} reserved + ${sold} sold = ${initial} initial`,
    );
    const paid = orders.filter((order) => order.product === product && order.status === 'paid');
    const expected = paid.reduce((sum, order) => sum + order.quantity, 0);
    check(sold === expected, `${product}: ${sold} sold, ${expected} in paid orders`);
  }

  const reservations = await shop.reservations();
  for (const { orderId, ends, title } of cases) {
    const mine = reservations.filter((reservation) => reservation.orderId === orderId);
    const statuses = mine.map(({ status }) => status).join(', ') || 'none';
    const expected = { paid: 'sold', cancelled: 'released', rejected: 'none' }[ends];
    const { history } = await shop.find(orderId);
    const steps = history.map(({ status }) => status);
    const once = new Set(steps).size === steps.length && steps.at(-1) === ends;
    check(
      once && statuses === expected,
      `${title}: ${steps.join(' -> ')}, each once; reservation ${statuses}`,
    );
  }
  check(
    messaging.duplicates >= injected,
    `${messaging.duplicates} duplicates were recognised, ${injected} were sent on purpose`,
  );
  check(outboxRows === 0, 'nothing is left in the outbox');
  check(messaging.deadLettered === 0, 'no message was given up');
  return wrong;
}
