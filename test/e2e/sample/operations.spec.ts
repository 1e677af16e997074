import { Outbox } from 'nestjs-rocketmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scrape } from '../../support/scrape.js';
import { eventually } from './eventually.js';
import { startSampleApp, type RunningSampleApp } from './sample-app.js';

interface Parked {
  readonly items: readonly { readonly id: number; readonly topic: string; readonly error: string }[];
}

describe('the shop as its operators see it', () => {
  let sample: RunningSampleApp;

  beforeAll(async () => {
    sample = await startSampleApp();
  });
  afterAll(() => sample?.close());

  const call = (method: string, path: string): Promise<Response> =>
    fetch(sample.url + path, { method, headers: { 'x-operator-key': 'test' } });

  it('is healthy while broker, listeners and outbox are', async () => {
    const response = await fetch(`${sample.url}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: 'ok',
      info: { database: { status: 'up' }, rocketmq: { status: 'up' } },
    });
  });

  it('counts the messages it handled', async () => {
    await sample.shop.order('keyboard', 1);
    // orders:created by the inventory, inventory:reserved by the orders, orders:confirmed by the payment.
    await eventually('three messages to be handled', async () => {
      const { handled } = await sample.shop.messaging();
      return handled >= 3;
    });
    expect(await sample.shop.messaging()).toMatchObject({ handled: 3, duplicates: 0, deadLettered: 0 });
  });

  it('shows its figures to Prometheus', async () => {
    await sample.shop.order('headset', 1);
    const figures = await eventually('the order to be in the figures', async () => {
      const response = await fetch(`${sample.url}/metrics`);
      expect(response.headers.get('content-type')).toContain('text/plain');
      const scrape = new Scrape(await response.text());
      const handled = scrape.value('rocketmq_listener_messages_total', {
        group: 'inventory',
        outcome: 'handled',
      });
      return handled !== undefined && handled > 0 && scrape;
    });
    expect(figures.value('rocketmq_outbox_sent_messages_total', { topic: 'orders' })).toBeGreaterThan(0);
    expect(figures.value('rocketmq_outbox_unowned_lanes')).toBe(0);
    expect(figures.value('rocketmq_outbox_parked_messages', { state: 'dead' })).toBe(0);
  });

  it('describes its API, with what every request and answer looks like', async () => {
    const page = await fetch(`${sample.url}/docs`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('swagger-ui')]);
    const document = (await (await fetch(`${sample.url}/docs/json`)).json()) as {
      readonly paths: Readonly<Record<string, object>>;
      readonly components: { readonly schemas: Readonly<Record<string, object>> };
    };
    const { paths, components } = document;
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/orders', '/orders/{id}/pay', '/operations/dead-letters/{group}']),
    );
    expect(components.schemas['CreateOrderDto']).toMatchObject({
      properties: { product: { enum: ['keyboard', 'monitor', 'headset'] }, quantity: { minimum: 1 } },
      required: ['product', 'quantity'],
    });
  });

  it('a message the broker refuses is parked, and can be discarded', async () => {
    // A delay level that no broker has would be refused at once; a delay of years only the broker can judge.
    await sample.dataSource.transaction((tx) =>
      sample.app.get(Outbox).send(tx, 'orders:created', {}, { delay: 10 * 365 * 86_400_000 }),
    );
    const parked = await eventually('a parked message', async () => {
      const { items } = await sample.shop.get<Parked>('/operations/parked');
      return items[0];
    });
    expect(parked.topic).toBe('orders');
    expect((await call('DELETE', `/operations/parked/${parked.id}`)).status).toBe(204);
    expect((await sample.shop.get<Parked>('/operations/parked')).items).toEqual([]);
    expect((await call('POST', `/operations/parked/${parked.id}/replay`)).status).toBe(404);
  });
});
