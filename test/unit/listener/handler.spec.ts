import {
  type CanActivate,
  Catch,
  createParamDecorator,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  ValidationPipe,
} from '@nestjs/common';
import { APP_GUARD, REQUEST } from '@nestjs/core';
import { Type } from 'class-transformer';
import { IsInt, IsString, Min, ValidateNested } from 'class-validator';
import {
  ACK,
  binarySerializer,
  Ctx,
  MessageHeaders,
  MessageKey,
  OnTag,
  Payload,
  RawMessage,
  type ReceivedMessage,
  RejectMessage,
  RetryLater,
  RocketMQContext,
  type RocketMQHandler,
  RocketMQListener,
  textSerializer,
} from 'nestjs-rocketmq';
import { map, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { z } from 'zod';
import { scriptedApp } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';

describe('a handler method', () => {
  it('gets payload, context, headers, key and the message itself', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(
        @Payload() order: unknown,
        @Ctx() ctx: RocketMQContext,
        @MessageHeaders() headers: MessageHeaders,
        @MessageHeaders('trace') trace: string,
        @MessageKey() key: string,
        @RawMessage() raw: unknown,
      ): void {
        seen.push(order, ctx, headers, trace, key, raw);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const message = received(
      { id: 7 },
      { headers: { trace: 't-1', a: 'b' }, keys: ['k1', 'k2'], attempt: 3 },
    );
    expect(await consumer('inventory').deliver(message)).toEqual([ACK]);
    const [order, ctx, headers, trace, key, raw] = seen;
    expect(order).toEqual({ id: 7 });
    expect(headers).toEqual({ trace: 't-1', a: 'b' });
    expect([trace, key, raw]).toEqual(['t-1', 'k1', message]);
    expect(ctx).toBeInstanceOf(RocketMQContext);
    expect(ctx).toMatchObject({
      listener: 'Orders.on',
      group: 'inventory',
      connection: 'default',
      attempt: 3,
      isLastAttempt: false,
    });
    await app.close();
  });

  it('without parameter decorators gets payload and context', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(order: unknown, ctx: RocketMQContext): void {
        seen.push(order, ctx.group);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received({ id: 7 }));
    expect(seen).toEqual([{ id: 7 }, 'inventory']);
    await app.close();
  });

  it('acknowledges whatever it returns, except a decision', async () => {
    const results: unknown[] = [undefined, 'text', { action: 'other' }, null, 0, false, ACK];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() index: number): unknown {
        return results[index];
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    for (const index of results.keys()) {
      expect(await consumer('inventory').deliver(received(index))).toEqual([ACK]);
    }
    results[0] = { action: 'retry', delayMs: 5_000 };
    results[1] = { action: 'dead-letter', reason: 'no such order' };
    expect(await consumer('inventory').deliver(received(0))).toEqual([{ action: 'retry', delayMs: 5_000 }]);
    expect(await consumer('inventory').deliver(received(1))).toEqual([
      { action: 'dead-letter', reason: 'no such order' },
    ]);
    await app.close();
  });

  it('retries after an error, later after RetryLater, never after RejectMessage', async () => {
    const failures = [
      new Error('database away'),
      new RetryLater('10s'),
      new RejectMessage('unknown product'),
    ];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() index: number): void {
        throw failures[index];
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    const deliver = (index: number) => consumer('inventory').deliver(received(index));
    expect(await deliver(0)).toEqual([{ action: 'retry', delayMs: undefined }]);
    expect(await deliver(1)).toEqual([{ action: 'retry', delayMs: 10_000 }]);
    expect(await deliver(2)).toEqual([{ action: 'dead-letter', reason: 'unknown product' }]);
    expect(events.map(({ name }) => name).filter((name) => /retried|rejected/.test(name))).toEqual([
      'message.retried',
      'message.retried',
      'message.rejected',
    ]);
    await app.close();
  });

  it('follows the retry schedule of its options', async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'list', retry: ['1s', '5s'] })
      list(): void {
        throw new Error('no');
      }

      @RocketMQListener({ topic: 'orders', group: 'function', retry: (attempt) => attempt * 100 })
      computed(): void {
        throw new Error('no');
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const delays = async (group: string): Promise<unknown[]> => {
      const all: unknown[] = [];
      for (const attempt of [1, 2, 3]) {
        const [result] = await consumer(group).deliver(received({}, { attempt }));
        all.push((result as { delayMs?: number }).delayMs);
      }
      return all;
    };
    expect(await delays('list')).toEqual([1_000, 5_000, 5_000]);
    expect(await delays('function')).toEqual([100, 200, 300]);
    await app.close();
  });

  it('calls onExhausted on the last attempt and makes the message a dead letter with the reason', async () => {
    const calls: unknown[] = [];
    @Injectable()
    class Orders {
      readonly name = 'the instance';

      @RocketMQListener({ topic: 'orders', group: 'inventory', maxAttempts: 3, onExhausted: 'gaveUp' })
      on(): void {
        throw new Error('still broken');
      }

      gaveUp(error: Error, ctx: RocketMQContext): void {
        calls.push([this.name, error.message, ctx.attempt, ctx.isLastAttempt]);
        throw new Error('a hook that fails changes nothing');
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    expect(await consumer('inventory').deliver(received({}, { attempt: 2 }))).toEqual([
      { action: 'retry', delayMs: undefined },
    ]);
    expect(calls).toEqual([]);
    expect(await consumer('inventory').deliver(received({}, { attempt: 3 }))).toEqual([
      { action: 'dead-letter', reason: 'failed 3 times: still broken' },
    ]);
    expect(calls).toEqual([['the instance', 'still broken', 3, true]]);
    expect(events.filter(({ name }) => name === 'message.exhausted')).toHaveLength(1);
    expect(consumer('inventory').options.maxAttempts).toBe(3);
    await app.close();
  });
});

describe('a broadcasting listener', () => {
  it('fails once and for all, since nothing is delivered again', async () => {
    const exhausted: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({
        topic: 'orders',
        group: 'caches',
        model: 'broadcasting',
        onExhausted: (error) => exhausted.push(error),
      })
      on(@Payload() reject: boolean): void {
        if (reject) throw new RejectMessage('unwanted');
        throw new Error('cache is cold');
      }
    }
    const { app, consumer, events } = await scriptedApp({ providers: [Orders] });
    expect(await consumer('caches').deliver(received(false))).toEqual([ACK]);
    expect(await consumer('caches').deliver(received(true))).toEqual([ACK]);
    expect(exhausted).toEqual([new Error('cache is cold')]);
    expect(events.slice(-3).map(({ name, event }) => [name, event['reason']])).toEqual([
      ['message.dropped', 'failed 1 times: cache is cold'],
      ['message.received', undefined],
      ['message.dropped', 'unwanted'],
    ]);
    await app.close();
  });
});

describe('a serializer', () => {
  it('of the listener goes before the one of the connection', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'text' })
      text(@Payload() order: unknown): void {
        seen.push(order);
      }

      @RocketMQListener({ topic: 'orders', group: 'bytes', serializer: binarySerializer })
      bytes(@Payload() order: unknown): void {
        seen.push(order);
      }
    }
    const { app, consumer } = await scriptedApp({
      providers: [Orders],
      options: { serializer: textSerializer },
    });
    await consumer('text').deliver(received(Buffer.from('plain')));
    await consumer('bytes').deliver(received(Buffer.from('plain')));
    expect(seen).toEqual(['plain', Buffer.from('plain')]);
    await app.close();
  });
});

describe('validation', () => {
  class Order {
    @IsString()
    id!: string;

    @IsInt()
    @Min(1)
    quantity!: number;
  }

  it('works on DTO classes through a global ValidationPipe, and makes instances of them', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() order: Order, @Ctx() ctx: RocketMQContext): void {
        seen.push(order, ctx);
      }
    }
    const { app, consumer, events } = await scriptedApp({
      providers: [Orders],
      prepare: (nest) => nest.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true })),
    });
    await consumer('inventory').deliver(received({ id: 'o1', quantity: 2, extra: true }));
    expect(seen[0]).toBeInstanceOf(Order);
    expect(seen[0]).toEqual({ id: 'o1', quantity: 2 });
    expect(seen[1]).toBeInstanceOf(RocketMQContext);
    const [result] = await consumer('inventory').deliver(received({ id: 'o1', quantity: 0 }));
    expect(result).toEqual({
      action: 'dead-letter',
      reason: 'invalid payload: quantity must not be less than 1',
    });
    expect(seen).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ name: 'message.rejected' });
    await app.close();
  });

  it.each([
    ['zod', z.object({ id: z.string(), at: z.coerce.date() })],
    [
      'valibot',
      v.object({
        id: v.string(),
        at: v.pipe(
          v.string(),
          v.isoTimestamp(),
          v.transform((text) => new Date(text)),
        ),
      }),
    ],
    [
      'valibot, asynchronously',
      v.objectAsync({
        id: v.pipeAsync(
          v.string(),
          v.checkAsync((id) => Promise.resolve(id.startsWith('o'))),
        ),
        at: v.pipe(
          v.string(),
          v.isoTimestamp(),
          v.transform((text) => new Date(text)),
        ),
      }),
    ],
  ])('works with a Standard Schema, which may transform: %s', async (_name, schema) => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload({ schema }) order: { id: string; at: Date }): void {
        seen.push(order);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received({ id: 'o1', at: '2026-01-02T03:04:05Z' }));
    expect(seen).toEqual([{ id: 'o1', at: new Date('2026-01-02T03:04:05Z') }]);
    const [result] = await consumer('inventory').deliver(received({ id: 5, at: 'x' }));
    expect(result).toMatchObject({ action: 'dead-letter' });
    expect((result as { reason: string }).reason).toMatch(/^invalid payload: id: .*; at: /);
    expect(seen).toHaveLength(1);
    await app.close();
  });

  it('of a DTO with nested parts and unknown fields says what is wrong with which', async () => {
    class Line {
      @IsInt()
      @Min(1)
      quantity!: number;
    }
    class Cart {
      @ValidateNested({ each: true })
      @Type(() => Line)
      lines!: Line[];
    }
    const seen: Cart[] = [];
    @Injectable()
    class Carts {
      @RocketMQListener({ topic: 'orders', group: 'carts' })
      on(
        @Payload(new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }))
        cart: Cart,
      ): void {
        seen.push(cart);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Carts] });
    await consumer('carts').deliver(received({ lines: [{ quantity: 1 }] }));
    expect(seen[0]?.lines[0]).toBeInstanceOf(Line);
    const [result] = await consumer('carts').deliver(
      received({ lines: [{ quantity: 1 }, { quantity: 0 }], coupon: 'x' }),
    );
    expect(result).toEqual({
      action: 'dead-letter',
      reason: 'invalid payload: property coupon should not exist; lines.1.quantity must not be less than 1',
    });
    expect(seen).toHaveLength(1);
    await app.close();
  });

  it('works with any pipe, given as class or instance', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload(ParseIntPipe) id: number, @MessageHeaders('n', new ParseIntPipe()) n: number): void {
        seen.push(id, n);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received('42', { headers: { n: '7' } }));
    expect(seen).toEqual([42, 7]);
    await app.close();
  });
});

describe('guards, interceptors, filters', () => {
  @Injectable()
  class Deny implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      return context.switchToRpc().getData<{ allowed: boolean }>().allowed;
    }
  }

  it('a guard sees payload, context and type; its denial goes to the dead letters unless told otherwise', async () => {
    const types: unknown[] = [];
    let handled = 0;
    @Injectable()
    class Look implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        types.push(context.getType(), context.getClass().name, context.getHandler().name);
        types.push(context.switchToRpc().getContext<RocketMQContext>().listener);
        return true;
      }
    }
    @Injectable()
    class Orders {
      @UseGuards(Look, Deny)
      @RocketMQListener({ topic: 'orders', group: 'a' })
      a(): void {
        handled++;
      }

      @UseGuards(Deny)
      @RocketMQListener({ topic: 'orders', group: 'b', failures: { guardDenied: 'ack' } })
      b(): void {
        handled++;
      }

      @UseGuards(Deny)
      @RocketMQListener({ topic: 'orders', group: 'c', failures: { guardDenied: 'retry' } })
      c(): void {
        handled++;
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('a').deliver(received({ allowed: true }));
    expect(types).toEqual(['rocketmq', 'Orders', 'a', 'Orders.a']);
    expect(handled).toBe(1);
    const denied = () => received({ allowed: false });
    expect(await consumer('a').deliver(denied())).toMatchObject([{ action: 'dead-letter' }]);
    expect(await consumer('b').deliver(denied())).toEqual([ACK]);
    expect(await consumer('c').deliver(denied())).toMatchObject([{ action: 'retry' }]);
    expect(handled).toBe(1);
    await app.close();
  });

  it("a handler's own 403 is an error like any other, since a guard is behind it", async () => {
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(): void {
        throw new ForbiddenToken();
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(await consumer('inventory').deliver(received({}))).toMatchObject([{ action: 'retry' }]);
    await app.close();
  });

  it('an interceptor wraps the handler and may change its result', async () => {
    const order: string[] = [];
    @Injectable()
    class Around implements NestInterceptor {
      intercept(_context: ExecutionContext, next: { handle(): Observable<unknown> }): Observable<unknown> {
        order.push('before');
        return next.handle().pipe(
          map((value) => {
            order.push(`after ${String(value)}`);
            return { action: 'retry', delayMs: 1 };
          }),
        );
      }
    }
    @Injectable()
    class Orders {
      @UseInterceptors(Around)
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(): string {
        order.push('handler');
        return 'result';
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(await consumer('inventory').deliver(received({}))).toEqual([{ action: 'retry', delayMs: 1 }]);
    expect(order).toEqual(['before', 'handler', 'after result']);
    await app.close();
  });

  it('a filter that returns something handles the error, sync or async; one that returns nothing does not', async () => {
    class Known extends Error {}
    let answer: unknown;
    const caught: unknown[] = [];
    @Catch(Known)
    class KnownFilter implements ExceptionFilter {
      catch(error: Error): unknown {
        caught.push(error.message);
        return answer;
      }
    }
    @Injectable()
    class Orders {
      @UseFilters(KnownFilter)
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() what: string): void {
        if (what === 'later') throw new RetryLater(50);
        throw new Known(what);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const deliver = () => consumer('inventory').deliver(received('boom'));
    for (answer of ['handled', Promise.resolve('handled'), ACK]) expect(await deliver()).toEqual([ACK]);
    for (answer of [undefined, null, 0, '', Promise.resolve(undefined)]) {
      expect(await deliver()).toMatchObject([{ action: 'retry' }]);
    }
    answer = { action: 'dead-letter', reason: 'said the filter' };
    expect(await deliver()).toEqual([answer]);
    expect(caught).toHaveLength(9);
    expect(await consumer('inventory').deliver(received('later'))).toEqual([
      { action: 'retry', delayMs: 50 },
    ]);
    expect(caught).toHaveLength(9);
    await app.close();
  });

  it('an undecodable body goes through the filters, not to the handler, and then by policy', async () => {
    const seen: unknown[] = [];
    @Catch()
    class See implements ExceptionFilter {
      catch(error: { code?: string }): void {
        seen.push(error.code);
      }
    }
    @Injectable()
    class Orders {
      @UseFilters(See)
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() order: unknown): void {
        seen.push(order);
      }

      @RocketMQListener({ topic: 'orders', group: 'retrying', failures: { undecodable: 'retry' } })
      retrying(@Payload() order: unknown): void {
        seen.push(order);
      }

      @RocketMQListener({ topic: 'orders', group: 'raw' })
      raw(@RawMessage() message: ReceivedMessage): void {
        seen.push(message.body.toString());
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const broken = () => received(Buffer.from('{not json'));
    const [result] = await consumer('inventory').deliver(broken());
    expect(result).toMatchObject({ action: 'dead-letter' });
    expect((result as { reason: string }).reason).toMatch(/^undecodable body: .*is not JSON/);
    expect(seen).toEqual(['DESERIALIZATION_FAILED']);
    expect(await consumer('retrying').deliver(broken())).toMatchObject([{ action: 'retry' }]);
    expect(await consumer('raw').deliver(broken())).toEqual([ACK]);
    expect(seen).toEqual(['DESERIALIZATION_FAILED', '{not json']);
    await app.close();
  });

  it('global ones work on messages, and can be switched off without losing those of the class', async () => {
    const ran: string[] = [];
    @Injectable()
    class Global implements CanActivate {
      canActivate(): boolean {
        ran.push('global');
        return true;
      }
    }
    @Injectable()
    class Own implements CanActivate {
      canActivate(): boolean {
        ran.push('own');
        return true;
      }
    }
    @UseGuards(Own)
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(): void {
        ran.push('handler');
      }
    }
    const providers = [Orders, { provide: APP_GUARD, useClass: Global }];
    for (const [guards, expected] of [
      [true, ['global', 'own', 'handler']],
      [false, ['own', 'handler']],
    ] as const) {
      ran.length = 0;
      const { app, consumer } = await scriptedApp({ providers, options: { enhancers: { guards } } });
      await consumer('inventory').deliver(received({}));
      expect(ran).toEqual(expected);
      await app.close();
    }
  });

  it("users' own parameter decorators work", async () => {
    const seen: unknown[] = [];
    const Tenant = createParamDecorator((header: string, context: ExecutionContext) => {
      return context.switchToRpc().getContext<RocketMQContext>().message.headers[header];
    });
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Tenant('tenant') tenant: string, @Payload() order: unknown): void {
        seen.push(tenant, order);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received({ id: 1 }, { headers: { tenant: 'acme' } }));
    expect(seen).toEqual(['acme', { id: 1 }]);
    await app.close();
  });
});

describe('request-scoped providers', () => {
  it('are made for each message, which they can inject', async () => {
    const seen: string[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) private readonly context: RocketMQContext) {
        made++;
      }

      get name(): string {
        return this.context.message.headers['tenant'] ?? '';
      }
    }
    @Injectable()
    class Orders {
      constructor(@Inject(Tenant) private readonly tenant: Tenant) {}

      @RocketMQListener({ topic: 'orders', group: 'inventory', maxAttempts: 1, onExhausted: 'gaveUp' })
      async on(@Payload() fail: boolean): Promise<void> {
        await Promise.resolve();
        if (fail) throw new BadTenant();
        seen.push(this.tenant.name);
      }

      gaveUp(): void {
        seen.push(`gave up ${this.tenant.name}`);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders, Tenant] });
    const names = ['a', 'b', 'c'];
    await Promise.all(
      names.map((tenant) => consumer('inventory').deliver(received(false, { headers: { tenant } }))),
    );
    expect(seen.sort()).toEqual(names);
    expect(made).toBe(3);
    await consumer('inventory').deliver(received(true, { headers: { tenant: 'd' } }));
    expect(seen.at(-1)).toBe('gave up d');
    await app.close();
  });

  it('a request-scoped global guard works on a singleton listener', async () => {
    const seen: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class PerMessage implements CanActivate {
      constructor(@Inject(REQUEST) private readonly context: RocketMQContext) {}

      canActivate(): boolean {
        seen.push(this.context.message.headers['tenant']);
        return true;
      }
    }
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(): void {
        seen.push('handled');
      }
    }
    const { app, consumer } = await scriptedApp({
      providers: [Orders, { provide: APP_GUARD, useClass: PerMessage }],
    });
    await consumer('inventory').deliver(received({}, { headers: { tenant: 'a' } }));
    expect(seen).toEqual(['a', 'handled']);
    await app.close();
  });
});

describe('a listener class', () => {
  it('handles with its handle method', async () => {
    const seen: unknown[] = [];
    @Injectable()
    @RocketMQListener({ topic: 'orders', group: 'inventory' })
    class Orders implements RocketMQHandler<{ id: number }> {
      handle(order: { id: number }, context: RocketMQContext): void {
        seen.push(order.id, context.listener);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received({ id: 1 }));
    expect(seen).toEqual([1, 'Orders']);
    await app.close();
  });

  it('dispatches by tag inside one group and subscribes to the tags it has methods for', async () => {
    const seen: unknown[] = [];
    @Injectable()
    @RocketMQListener({ topic: 'orders', group: 'inventory' })
    class Orders {
      @OnTag('created', 'changed')
      created(@Payload() order: unknown): void {
        seen.push(['created', order]);
      }

      @OnTag('paid')
      paid(order: unknown): void {
        seen.push(['paid', order]);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(consumer('inventory').options.subscriptions).toEqual([
      { topic: 'orders', filter: { type: 'tag', expression: 'created || changed || paid' } },
    ]);
    await consumer('inventory').deliver(received(1, { tag: 'paid' }));
    await consumer('inventory').deliver(received(2, { tag: 'changed' }));
    expect(seen).toEqual([
      ['paid', 1],
      ['created', 2],
    ]);
    // A tag nobody asked for may come while the subscription changes: another instance may know it.
    expect(await consumer('inventory').deliver(received(3, { tag: 'other' }))).toEqual([{ action: 'retry' }]);
    await app.close();
  });

  it('takes the tags without a method of their own with handle', async () => {
    const seen: unknown[] = [];
    @Injectable()
    @RocketMQListener({ topic: 'orders', group: 'inventory' })
    class Orders {
      @OnTag('paid')
      paid(): void {
        seen.push('paid');
      }

      handle(_order: unknown, { message }: RocketMQContext): void {
        seen.push(`rest ${message.tag}`);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    expect(consumer('inventory').options.subscriptions).toMatchObject([{ filter: { expression: '*' } }]);
    for (const tag of ['paid', 'other', undefined]) await consumer('inventory').deliver(received(1, { tag }));
    expect(seen).toEqual(['paid', 'rest other', 'rest undefined']);
    await app.close();
  });
});

class ForbiddenToken extends ForbiddenException {}
class BadTenant extends Error {}
