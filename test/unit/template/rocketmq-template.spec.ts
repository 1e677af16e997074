import { Injectable } from '@nestjs/common';
import {
  binarySerializer,
  type MessageSerializer,
  Payload,
  RocketMQError,
  RocketMQListener,
  RocketMQTemplate,
  textSerializer,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { scriptedApp } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';

describe('RocketMQTemplate', () => {
  async function template() {
    const { app, client } = await scriptedApp({ options: { autoStart: false } });
    const sent = () => client.producers[0]?.sent ?? [];
    return { app, client, sent, template: app.get(RocketMQTemplate) };
  }

  it('sends JSON to a topic, with tag, keys and headers', async () => {
    const { app, template: rocketmq, sent } = await template();
    const receipt = await rocketmq.send('orders:created', { id: 1 }, { keys: 'o-1', headers: { a: 'b' } });
    expect(receipt).toMatchObject({ topic: 'orders', status: 'SEND_OK' });
    await rocketmq.send({ topic: 'orders', tag: 'paid' }, 'x', { keys: ['a', 'b'], tag: 'own' });
    expect(sent().map(({ message }) => message)).toMatchObject([
      { topic: 'orders', tag: 'created', body: Buffer.from('{"id":1}'), keys: ['o-1'], headers: { a: 'b' } },
      { topic: 'orders', tag: 'own', body: Buffer.from('"x"'), keys: ['a', 'b'] },
    ]);
    await app.close();
  });

  it('passes on timeout, signal and ordering key', async () => {
    const { app, template: rocketmq, sent } = await template();
    const { signal } = new AbortController();
    await rocketmq.sendOrdered('orders', 1, 'o-1', { timeoutMs: 5, signal });
    expect(sent()[0]).toMatchObject({ message: { orderingKey: 'o-1' }, options: { timeoutMs: 5, signal } });
    await app.close();
  });

  it('delays by time, text, level or until a date', async () => {
    const { app, template: rocketmq, sent } = await template();
    await rocketmq.sendDelayed('orders', 1, 1_500);
    await rocketmq.sendDelayed('orders', 1, '2m');
    await rocketmq.sendDelayed('orders', 1, { level: 4 });
    await rocketmq.sendAt('orders', 1, new Date(42));
    expect(sent().map(({ message }) => message.delivery)).toEqual([
      { afterMs: 1_500 },
      { afterMs: 120_000 },
      { level: 4 },
      { at: 42 },
    ]);
    await expect(rocketmq.sendDelayed('orders', 1, 'soon' as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await app.close();
  });

  it('recalls by the handle of a receipt, and says when there is none', async () => {
    const { app, template: rocketmq } = await template();
    const receipt = await rocketmq.send('orders', 1);
    await expect(rocketmq.recall(receipt)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await rocketmq.recall({ ...receipt, recallHandle: 'handle' })).toBe('handle');
    await app.close();
  });

  it("sends batches with what is common and what is each message's own", async () => {
    const { app, template: rocketmq, sent } = await template();
    expect(await rocketmq.sendBatch('orders:a', [1, 2])).toHaveLength(2);
    expect(await rocketmq.sendBatch('orders', [])).toEqual([]);
    await rocketmq.sendEntries('orders:a', [
      { payload: 3, keys: 'k' },
      { payload: 4, tag: 'b' },
    ]);
    expect(sent().map(({ message }) => [String(message.body), message.tag, message.keys])).toEqual([
      ['1', 'a', undefined],
      ['2', 'a', undefined],
      ['3', 'a', ['k']],
      ['4', 'b', undefined],
    ]);
    await app.close();
  });

  it('serializes as the connection or the call says', async () => {
    const { app, client } = await scriptedApp({ options: { autoStart: false, serializer: textSerializer } });
    const rocketmq = app.get(RocketMQTemplate);
    await rocketmq.send('orders', 'plain');
    await rocketmq.send('orders', Buffer.from([1, 2]), { serializer: binarySerializer });
    expect(client.producers[0]?.sent.map(({ message }) => [...message.body])).toEqual([
      [...Buffer.from('plain')],
      [1, 2],
    ]);
    await expect(rocketmq.send('orders', { not: 'text' })).rejects.toMatchObject({
      code: 'SERIALIZATION_FAILED',
    });
    await app.close();
  });

  it('takes serializers of your own, for sending and for listening', async () => {
    const encoded: MessageSerializer = {
      serialize: (payload) => Buffer.from(Buffer.from(JSON.stringify(payload)).toString('base64')),
      deserialize: (body) => JSON.parse(Buffer.from(body.toString(), 'base64').toString()) as unknown,
    };
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() order: unknown): void {
        seen.push(order);
      }
    }
    const { app, client, consumer } = await scriptedApp({
      providers: [Orders],
      options: { serializer: encoded },
    });
    await app.get(RocketMQTemplate).send('orders', { id: 1 });
    const body = client.producers[0]!.sent[0]!.message.body;
    expect(body.toString()).toBe('eyJpZCI6MX0=');
    await consumer('inventory').deliver(received(body));
    expect(seen).toEqual([{ id: 1 }]);
    await app.close();
  });

  it('opens the connection with the first send, tries again after a failure, and ends with the application', async () => {
    const { app, client } = await scriptedApp({ options: { autoStart: false } });
    const rocketmq = app.get(RocketMQTemplate);
    client.startError = new RocketMQError('CONNECTION_FAILED', 'away', { retryable: true });
    await expect(rocketmq.send('orders', 1)).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    client.startError = undefined;
    await Promise.all([rocketmq.send('orders', 1), rocketmq.send('orders', 2)]);
    expect(client.log).toEqual(['client started', 'producer nestjs-rocketmq started']);
    await app.close();
    await expect(rocketmq.send('orders', 3)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('tells that transactions are off', async () => {
    const { app, template: rocketmq } = await template();
    await expect(rocketmq.sendInTransaction('orders', 1, () => Promise.resolve(1))).rejects.toThrow(
      /transactions: true/,
    );
    await app.close();
  });
});
