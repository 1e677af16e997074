import { Catch, type ExceptionFilter, Injectable, ParseArrayPipe, UseFilters } from '@nestjs/common';
import { IsInt } from 'class-validator';
import {
  ACK,
  Ctx,
  MessageHeaders,
  MessageKey,
  OnTag,
  Payload,
  RawMessage,
  type ReceivedMessage,
  RejectMessage,
  RetryLater,
  RocketMQBatchListener,
  RocketMQContext,
} from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { scriptedApp } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';

describe('a batch listener', () => {
  it('gets several messages at once; returning nothing acknowledges all', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory', batchSize: 10 })
      on(
        @Payload() orders: number[],
        @Ctx() ctx: RocketMQContext,
        @MessageKey() keys: (string | undefined)[],
        @MessageHeaders('tenant') tenants: string[],
        @RawMessage() messages: ReceivedMessage[],
      ): void {
        seen.push(orders, ctx.messages.length, ctx.attempt, keys, tenants, messages.length);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(consumer('inventory').options.batchSize).toBe(10);
    const results = await consumer('inventory').deliver(
      received(1, { keys: ['a'], headers: { tenant: 'x' } }),
      received(2, { attempt: 4, headers: { tenant: 'y' } }),
    );
    expect(results).toEqual([ACK, ACK]);
    expect(seen).toEqual([[1, 2], 2, 4, ['a', undefined], ['x', 'y'], 2]);
    await app.close();
  });

  it('has one result per message: nothing, a decision, or an error', async () => {
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory', maxAttempts: 5 })
      on(): unknown[] {
        return [
          undefined,
          new Error('not now'),
          new RetryLater('2s'),
          new RejectMessage('never'),
          { action: 'retry', delayMs: 7 },
          ACK,
          new Error('for the last time'),
        ];
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    const messages = [1, 1, 1, 1, 1, 1, 5].map((attempt) => received({}, { attempt }));
    expect(await consumer('inventory').deliver(...messages)).toEqual([
      ACK,
      { action: 'retry', delayMs: undefined },
      { action: 'retry', delayMs: 2_000 },
      { action: 'dead-letter', reason: 'never' },
      { action: 'retry', delayMs: 7 },
      ACK,
      { action: 'dead-letter', reason: 'failed 5 times: for the last time' },
    ]);
    const ids = (name: string): unknown[] =>
      events.filter((each) => each.name === name).map(({ event }) => event['messageId']);
    expect(ids('message.handled')).toEqual([messages[0]?.messageId, messages[5]?.messageId]);
    expect(ids('message.rejected')).toEqual([messages[3]?.messageId]);
    expect(ids('message.exhausted')).toEqual([messages[6]?.messageId]);
    await app.close();
  });

  it('retries all when it throws, or when the number of results is wrong', async () => {
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() [first]: boolean[]): unknown {
        if (first) throw new Error('no');
        return [ACK];
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    const retry = { action: 'retry', delayMs: undefined };
    expect(await consumer('inventory').deliver(received(true), received(true))).toEqual([retry, retry]);
    expect(await consumer('inventory').deliver(received(false), received(false))).toEqual([retry, retry]);
    expect(String(events.at(-1)?.event['error'])).toMatch(/returned 1 results for 2 messages/);
    await app.close();
  });

  it('is spared messages that cannot be decoded or are invalid: they are settled alone', async () => {
    const seen: unknown[] = [];
    const schema = z.object({ quantity: z.coerce.number().min(1) });
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory', failures: { undecodable: 'ack' } })
      on(@Payload({ schema }) orders: z.infer<typeof schema>[], @Ctx() ctx: RocketMQContext): unknown[] {
        seen.push(orders, ctx.messages.length);
        return [undefined, new RetryLater(5)];
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    const results = await consumer('inventory').deliver(
      received({ quantity: '2' }),
      received(Buffer.from('{broken')),
      received({ quantity: 0 }),
      received({ quantity: 3 }),
    );
    expect(results).toMatchObject([ACK, ACK, { action: 'dead-letter' }, { action: 'retry', delayMs: 5 }]);
    expect(seen).toEqual([[{ quantity: 2 }, { quantity: 3 }], 2]);
    const names = events.map(({ name }) => name).filter((name) => /dropped|rejected/.test(name));
    expect(names).toEqual(['message.dropped', 'message.rejected']);
    await app.close();
  });

  it('is not called when no message is left', async () => {
    let calls = 0;
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() _orders: unknown[]): void {
        calls++;
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const results = await consumer('inventory').deliver(
      received(Buffer.from('{')),
      received(Buffer.from('}')),
    );
    expect(results).toMatchObject([{ action: 'dead-letter' }, { action: 'dead-letter' }]);
    expect(calls).toBe(0);
    await app.close();
  });

  it('validates DTOs with ParseArrayPipe, and its filters may give results per message', async () => {
    class Order {
      @IsInt()
      id!: number;
    }
    const seen: unknown[] = [];
    @Catch()
    class Sort implements ExceptionFilter {
      catch(): unknown {
        return [ACK, { action: 'dead-letter', reason: 'sorted out' }];
      }
    }
    @Injectable()
    class Orders {
      @UseFilters(Sort)
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory' })
      on(@Payload(new ParseArrayPipe({ items: Order })) orders: Order[]): void {
        seen.push(...orders);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(await consumer('inventory').deliver(received({ id: 1 }), received({ id: 2 }))).toEqual([ACK, ACK]);
    expect(seen[0]).toBeInstanceOf(Order);
    expect(await consumer('inventory').deliver(received({ id: 1 }), received({ id: 'x' }))).toEqual([
      ACK,
      { action: 'dead-letter', reason: 'sorted out' },
    ]);
    await app.close();
  });

  it('as a class divides a batch by tag and keeps the order of the answers', async () => {
    const seen: unknown[] = [];
    @Injectable()
    @RocketMQBatchListener({ topic: 'orders', group: 'inventory' })
    class Orders {
      @OnTag('a')
      a(@Payload() items: number[]): unknown[] {
        seen.push(['a', items]);
        return items.map(() => ACK);
      }

      @OnTag('b')
      b(@Payload() items: number[]): void {
        seen.push(['b', items]);
        throw new RetryLater(1);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const messages = [1, 2, 3].map((n) => received(n, { tag: n === 2 ? 'b' : 'a' }));
    expect(await consumer('inventory').deliver(...messages)).toEqual([
      ACK,
      { action: 'retry', delayMs: 1 },
      ACK,
    ]);
    expect(seen).toEqual([
      ['a', [1, 3]],
      ['b', [2]],
    ]);
    await app.close();
  });
});
