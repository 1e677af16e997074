import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countOutboxRows } from '../../../scripts/demo/outbox-rows.js';
import { startSampleApp, type RunningSampleApp } from './sample-app.js';

describe('the shop refuses what it cannot understand, and says why', () => {
  let sample: RunningSampleApp;

  beforeAll(async () => {
    sample = await startSampleApp();
  });
  afterAll(() => sample?.close());

  it.each([
    ['an unknown product', '{"product":"unicorn","quantity":1}', /product must be one of: keyboard/],
    ['no product', '{"quantity":1}', /product must be one of/],
    ['quantity 0', '{"product":"keyboard","quantity":0}', /quantity must be at least 1/],
    ['a negative quantity', '{"product":"keyboard","quantity":-3}', /quantity must be at least 1/],
    ['half a keyboard', '{"product":"keyboard","quantity":0.5}', /quantity must be a whole number/],
    ['a quantity in words', '{"product":"keyboard","quantity":"two"}', /quantity must be a whole number/],
    ['nothing at all', '{}', /product must be one of/],
    ['a body that is not JSON', 'two keyboards, please', /not valid JSON|Unexpected token/],
  ])('%s', async (_, body, message) => {
    const answer = await sample.shop.post<{ message: string | string[] }>('/orders', body);
    expect(answer.status).toBe(400);
    expect([answer.body.message].flat().join('; ')).toMatch(message);
  });

  it('an order that does not exist', async () => {
    const id = '00000000-0000-4000-8000-000000000000';
    await expect(sample.shop.find(id)).rejects.toThrow(`404`);
    expect(await sample.shop.pay(id)).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining(id) as string },
    });
  });

  it('an order id that is none', async () => {
    expect((await sample.shop.pay('17')).status).toBe(400);
  });

  it('leaves nothing behind of what it refused', async () => {
    expect(await sample.shop.orders()).toEqual([]);
    expect(await countOutboxRows(sample.databaseUrl)).toBe(0);
  });

  it('operator routes without the key', async () => {
    const answer = await fetch(`${sample.url}/operations/messaging`);
    expect(answer.status).toBe(403);
  });
});
