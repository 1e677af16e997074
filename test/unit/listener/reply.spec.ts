import { Catch, type ExceptionFilter, Injectable, UseFilters, UseInterceptors } from '@nestjs/common';
import {
  ACK,
  Payload,
  RETRY,
  RocketMQError,
  RocketMQReplyListener,
  RocketMQTemplate,
  textSerializer,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { IdempotencyInterceptor } from '../../../lib/idempotency/idempotency.interceptor.js';
import { IDEMPOTENCY } from '../../../lib/idempotency/idempotency.tokens.js';
import type { Idempotency } from '../../../lib/idempotency/idempotency.js';
import { scriptedApp } from '../../support/scripted-app.js';
import { received, ScriptedClient } from '../../support/scripted-client.js';

/** A message that somebody waits for. */
const request = (body: unknown) =>
  received(body, {
    properties: { CORRELATION_ID: 'c', REPLY_TO_CLIENT: 'asker', CLUSTER: 'cluster', TTL: '9' },
  });

@Catch(TypeError)
class TypeErrors implements ExceptionFilter {
  catch(error: TypeError): unknown {
    return { error: error.message };
  }
}

@Injectable()
class Prices {
  @RocketMQReplyListener({ topic: 'orders', group: 'prices' })
  @UseFilters(TypeErrors)
  price(@Payload() sku: string): unknown {
    if (sku === 'retry') return RETRY;
    if (sku === 'type') throw new TypeError('not a sku');
    if (sku === 'error') throw new Error('no price');
    return sku === 'nothing' ? undefined : { sku, price: 3 };
  }

  @RocketMQReplyListener({ topic: 'orders', group: 'text', serializer: textSerializer })
  text(@Payload() sku: string): string {
    return `${sku} costs 3`;
  }
}

describe('a listener that replies', () => {
  it('sends back what its handler returns, in the way of its serializer', async () => {
    const { app, client, consumer } = await scriptedApp({ providers: [Prices] });
    const tea = request('tea');
    expect(await consumer('prices').deliver(tea)).toEqual([ACK]);
    await consumer('prices').deliver(request('nothing'));
    await consumer('text').deliver(request(Buffer.from('tea')));
    expect(client.replies.map(({ body }) => body)).toEqual([
      '{"sku":"tea","price":3}',
      'null',
      'tea costs 3',
    ]);
    expect(client.replies[0]?.request).toBe(tea);
    await app.close();
  });

  it('sends back what an exception filter makes of an error; nothing otherwise', async () => {
    const { app, client, consumer } = await scriptedApp({ providers: [Prices] });
    expect(await consumer('prices').deliver(request('type'))).toEqual([ACK]);
    expect(client.replies.map(({ body }) => body)).toEqual(['{"error":"not a sku"}']);
    expect(await consumer('prices').deliver(request('error'))).toMatchObject([{ action: 'retry' }]);
    expect(await consumer('prices').deliver(request('retry'))).toMatchObject([{ action: 'retry' }]);
    expect(client.replies).toHaveLength(1);
    await app.close();
  });

  it('sends nothing for a duplicate, also when the handler has nothing to say', async () => {
    @Injectable()
    class Once {
      @UseInterceptors(IdempotencyInterceptor)
      @RocketMQReplyListener({ topic: 'orders', group: 'once' })
      on(@Payload() sku: string): unknown {
        return sku === 'nothing' ? undefined : `${sku} costs 3`;
      }
    }
    /** Remembers in memory; the real one has its tests with databases. */
    const known = new Set<string>();
    const inbox: Pick<Idempotency, 'runInTransaction'> = {
      runInTransaction: async ({ messages: [message], handle }) => {
        if (known.has(message!.messageId)) return undefined;
        known.add(message!.messageId);
        return (await handle([0])).value;
      },
    };
    const { app, client, consumer } = await scriptedApp({
      providers: [Once, { provide: IDEMPOTENCY, useValue: inbox }],
    });
    for (const each of [request('tea'), request('nothing')]) {
      expect(await consumer('once').deliver(each)).toEqual([ACK]);
      expect(await consumer('once').deliver(each)).toEqual([ACK]);
    }
    expect(client.replies.map(({ body }) => body)).toEqual(['"tea costs 3"', 'null']);
    await app.close();
  });

  it('handles messages nobody waits for', async () => {
    const { app, client, consumer } = await scriptedApp({ providers: [Prices] });
    expect(await consumer('prices').deliver(received('tea'))).toEqual([ACK]);
    expect(client.replies).toEqual([]);
    await app.close();
  });

  it('has done its work when the reply gets lost, and says so', async () => {
    const client = new ScriptedClient('orders');
    const lines: string[] = [];
    const write = (line: string): number => lines.push(line);
    const { app, consumer } = await scriptedApp({
      providers: [Prices],
      client,
      prepare: (nest) =>
        nest.useLogger({ log: () => undefined, debug: () => undefined, warn: write, error: write }),
    });
    client.sendError = new RocketMQError('BROKER_REJECTED', 'The one who asked has gone.');
    expect(await consumer('prices').deliver(request('tea'))).toEqual([ACK]);
    expect(lines).toEqual([
      expect.stringMatching(/^reply lost message=.* topic=orders group=prices attempt=1; .*has gone/),
    ]);
    await app.close();
  });

  it('needs an engine that can', async () => {
    const client = new ScriptedClient('orders');
    client.capabilities = new Set([...client.capabilities].filter((each) => each !== 'request-reply'));
    await expect(scriptedApp({ providers: [Prices], client })).rejects.toThrow(
      /Listener "Prices.price": the memory engine .* does not have replies/,
    );
  });
});

describe('RocketMQTemplate.request', () => {
  it('resolves with the payload of the reply', async () => {
    const { app, client } = await scriptedApp({});
    client.reply = { price: 3 };
    const price = await app
      .get(RocketMQTemplate)
      .request<{ price: number }>('orders:price', 'tea', { timeout: '10s', keys: 'k' });
    expect(price).toEqual({ price: 3 });
    expect(client.producers[0]?.sent[0]).toMatchObject({
      message: { topic: 'orders', tag: 'price', keys: ['k'] },
      options: { timeoutMs: 10_000 },
    });
    await app.close();
  });
});
