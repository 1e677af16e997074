import type { Narrator } from './narrator.js';
import type { Shop } from './shop.js';
import { until } from './until.js';
import type { Wiretap } from './wiretap.js';

/** An order of the demonstration, and how it has to end. */
export interface Case {
  readonly title: string;
  readonly product: string;
  readonly quantity: number;
  readonly ends: 'paid' | 'rejected' | 'cancelled';
  orderId: string;
}

export interface Cases {
  readonly cases: readonly Case[];
  /** Duplicates that were put on the wire on purpose. */
  readonly injected: number;
}

const DUPLICATES = 2;

/** Places the orders and does what their customers do. Resolves when every order came to its end. */
export async function playScenario(shop: Shop, wiretap: Wiretap, { say }: Narrator): Promise<Cases> {
  const begin = async (
    title: string,
    ends: Case['ends'],
    product: string,
    quantity: number,
  ): Promise<Case> => {
    const { status, body } = await shop.order(product, quantity);
    if (status !== 201) throw new Error(`POST /orders answered ${status}: ${JSON.stringify(body)}`);
    say(`order ${shortId(body.id)}: ${quantity} x ${product} (${title})`);
    return { title, product, quantity, ends, orderId: body.id };
  };

  const paid = await begin('will be paid', 'paid', 'keyboard', 2);
  const tooMuch = await begin('more than there is', 'rejected', 'monitor', 999);
  const forgotten = await begin('nobody pays', 'cancelled', 'headset', 3);
  const repeated = await begin('its event is delivered three times', 'paid', 'monitor', 1);
  const impatient = await begin('its customer clicks "pay" twice', 'paid', 'headset', 5);
  const cases = [paid, tooMuch, forgotten, repeated, impatient];

  await Promise.all([
    payWhenDue(shop, paid),
    payWhenDue(shop, repeated),
    clickTwice(shop, impatient, say),
    repeatCreated(wiretap, repeated, say),
  ]);
  say('waiting until every order came to its end');
  await Promise.all(cases.map((entry) => reachEnd(shop, entry)));
  return { cases, injected: DUPLICATES };
}

/** Requests that must not get through, and the answers they got. */
export async function tryNonsense(shop: Shop): Promise<readonly string[]> {
  const attempts: readonly (readonly [string, string])[] = [
    ['an unknown product', '{"product":"unicorn","quantity":1}'],
    ['quantity 0', '{"product":"keyboard","quantity":0}'],
    ['not JSON', 'two keyboards, please'],
  ];
  const lines: string[] = [];
  for (const [what, body] of attempts) {
    const answer = await shop.post<{ readonly message?: string | readonly string[] }>('/orders', body);
    if (answer.status < 400 || answer.status > 499)
      throw new Error(`${what}: expected a 4xx, got ${answer.status}`);
    lines.push(`${what}: ${answer.status} ${[answer.body.message ?? ''].flat().join('; ')}`);
  }
  return lines;
}

export function shortId(orderId: string): string {
  return orderId.slice(0, 8);
}

async function payWhenDue(shop: Shop, { orderId }: Case): Promise<void> {
  const answer = await until(`the payment of order ${orderId} to be due`, async () => {
    const answer = await shop.pay(orderId);
    return answer.status !== 404 && answer;
  });
  if (answer.status !== 200) throw new Error(`POST /orders/${orderId}/pay answered ${answer.status}`);
}

async function clickTwice(shop: Shop, { orderId }: Case, say: (line: string) => void): Promise<void> {
  const statuses = await until(`the payment of order ${orderId} to be due`, async () => {
    const answers = await Promise.all([shop.pay(orderId), shop.pay(orderId)]);
    const found = answers.map(({ status }) => status).filter((status) => status !== 404);
    return found.length > 0 && found.sort((a, b) => a - b);
  });
  if (statuses.filter((status) => status === 200).length !== 1) {
    throw new Error(`Two clicks on "pay" were answered ${statuses.join(' and ')}: exactly one may succeed`);
  }
  say(`order ${shortId(orderId)}: two clicks on "pay" were answered ${statuses.join(' and ')}`);
}

async function repeatCreated(
  wiretap: Wiretap,
  { orderId }: Case,
  say: (line: string) => void,
): Promise<void> {
  const created = await wiretap.heard(orderId, 'created');
  for (let copy = 0; copy < DUPLICATES; copy++) await wiretap.repeat(created);
  say(`order ${shortId(orderId)}: sent its event orders:created ${DUPLICATES} more times`);
}

async function reachEnd(shop: Shop, { orderId, ends }: Case): Promise<void> {
  await until(`order ${orderId} to be ${ends}`, async () => {
    const { status, history } = await shop.find(orderId);
    if (['paid', 'rejected', 'cancelled'].includes(status) && status !== ends) {
      const notes = history.map(({ note }) => note).join('; ');
      throw new Error(`Order ${orderId} should end ${ends} and is ${status}: ${notes}`);
    }
    return status === ends;
  });
}
