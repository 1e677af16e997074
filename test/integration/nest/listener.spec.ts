import { type INestApplication, Injectable, ValidationPipe } from '@nestjs/common';
import { IsInt, Min } from 'class-validator';
import {
  Ctx,
  DEAD_LETTER_REASON,
  DeadLetterListener,
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
  RocketMQListener,
  RocketMQListenerRegistry,
  RocketMQTemplate,
  sql92,
  tags,
} from 'nestjs-rocketmq';
import { afterEach, describe, expect, it } from 'vitest';
import { nestApp, recordEvents } from '../../support/nest-app.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

let app: INestApplication | undefined;

afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function started(...args: Parameters<typeof nestApp>): Promise<RocketMQTemplate> {
  app = await nestApp(...args);
  return app.get(RocketMQTemplate);
}

describe('a listener on a real broker', () => {
  it('gets what the template sends: payload, tag, keys, headers, ordering key', async () => {
    const topic = uniqueName('listener');
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
      on(
        @Payload() order: unknown,
        @MessageKey() key: string,
        @MessageHeaders() headers: MessageHeaders,
        @Ctx() { message, attempt }: RocketMQContext,
      ): void {
        seen.push({ order, key, headers, tag: message.tag, orderingKey: message.orderingKey, attempt });
      }
    }
    const template = await started({ providers: [Orders] });
    await template.sendOrdered(`${topic}:created`, { id: 1 }, 'o-1', { keys: 'k-1', headers: { a: 'ä' } });
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual([
      { order: { id: 1 }, key: 'k-1', headers: { a: 'ä' }, tag: 'created', orderingKey: 'o-1', attempt: 1 },
    ]);
  });

  it('filters by tag and by SQL92, each listener in its own group', async () => {
    const topic = uniqueName('filter');
    const seen = { tags: [] as number[], sql: [] as number[], all: [] as number[] };
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('tags'), filter: tags('a', 'b'), startFrom: 'first' })
      tagged(@Payload() n: number): void {
        seen.tags.push(n);
      }

      @RocketMQListener({ topic, group: uniqueName('sql'), filter: sql92('amount > 10'), startFrom: 'first' })
      sql(@Payload() n: number): void {
        seen.sql.push(n);
      }

      @RocketMQListener({ topic, group: uniqueName('all'), startFrom: 'first' })
      all(@Payload() n: number): void {
        seen.all.push(n);
      }
    }
    const template = await started({ providers: [Orders] });
    await template.send(`${topic}:a`, 1, { headers: { amount: '5' } });
    await template.send(`${topic}:b`, 2, { headers: { amount: '50' } });
    await template.send(`${topic}:c`, 3, { headers: { amount: '500' } });
    await waitFor(() => seen.tags.length === 2 && seen.sql.length === 2 && seen.all.length === 3);
    expect(seen.tags.sort()).toEqual([1, 2]);
    expect(seen.sql.sort()).toEqual([2, 3]);
    expect(seen.all.sort()).toEqual([1, 2, 3]);
  });

  it('dispatches by tag inside one group', async () => {
    const topic = uniqueName('dispatch');
    const seen: unknown[] = [];
    @Injectable()
    @RocketMQListener({ topic, group: uniqueName('group'), startFrom: 'first' })
    class Orders {
      @OnTag('created')
      created(@Payload() n: number): void {
        seen.push(['created', n]);
      }

      @OnTag('paid')
      paid(@Payload() n: number): void {
        seen.push(['paid', n]);
      }
    }
    const template = await started({ providers: [Orders] });
    await template.send(`${topic}:paid`, 1);
    await template.send(`${topic}:ignored`, 2);
    await template.send(`${topic}:created`, 3);
    await waitFor(() => seen.length === 2);
    expect(seen.sort()).toEqual([
      ['created', 3],
      ['paid', 1],
    ]);
  });

  it('two topics in one group are one consumer', async () => {
    const [one, two] = [uniqueName('one'), uniqueName('two')];
    const group = uniqueName('group');
    const seen: string[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: one, group, startFrom: 'first' })
      one(): void {
        seen.push('one');
      }

      @RocketMQListener({ topic: two, group })
      two(): void {
        seen.push('two');
      }
    }
    const template = await started({ providers: [Orders] });
    await template.send(one, 1);
    await template.send(two, 2);
    await waitFor(() => seen.length === 2);
    expect(seen.sort()).toEqual(['one', 'two']);
  });

  it('keeps the order of an ordering key, across a failure', async () => {
    const topic = uniqueName('ordered');
    const seen: number[] = [];
    let failed = false;
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), mode: 'ordered', startFrom: 'first' })
      on(@Payload() n: number): void {
        if (n === 5 && !failed) {
          failed = true;
          throw new RetryLater(50);
        }
        seen.push(n);
      }
    }
    const template = await started({ providers: [Orders] });
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    for (const n of numbers) await template.sendOrdered(topic, n, 'one key');
    await waitFor(() => seen.length === 20);
    expect(failed).toBe(true);
    expect(seen).toEqual(numbers);
  });

  it('gets batches and answers for each message', async () => {
    const topic = uniqueName('batch');
    const sizes: number[] = [];
    const done = new Map<number, number>();
    @Injectable()
    class Orders {
      @RocketMQBatchListener({
        topic,
        group: uniqueName('group'),
        batchSize: 16,
        startFrom: 'first',
        retry: '1s',
      })
      on(@Payload() numbers: number[], @Ctx() ctx: RocketMQContext): unknown[] {
        sizes.push(numbers.length);
        return numbers.map((n, index) => {
          done.set(n, (done.get(n) ?? 0) + 1);
          return n === 7 && ctx.messages[index]?.attempt === 1 ? new Error('once more') : undefined;
        });
      }
    }
    const template = await started({ providers: [Orders], options: { listeners: { 'Orders.on': {} } } });
    app?.get(RocketMQListenerRegistry).pause();
    await template.sendBatch(
      topic,
      Array.from({ length: 40 }, (_, n) => n),
    );
    app?.get(RocketMQListenerRegistry).resume();
    await waitFor(() => done.size === 40 && done.get(7) === 2);
    expect([...done].filter(([, times]) => times !== 1)).toEqual([[7, 2]]);
    expect(Math.max(...sizes)).toBeGreaterThan(1);
  });
});

describe('a message that fails', () => {
  it('comes again with the next attempt, then succeeds', async () => {
    const topic = uniqueName('retry');
    const attempts: number[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group: uniqueName('group'), retry: '1s', startFrom: 'first' })
      on(@Ctx() { attempt }: RocketMQContext): void {
        attempts.push(attempt);
        if (attempt < 3) throw new Error('not yet');
      }
    }
    const template = await started({ providers: [Orders] });
    await template.send(topic, 1);
    await waitFor(() => attempts.length === 3);
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('for good ends in the dead letters with the reason, where a listener reads it', async () => {
    const topic = uniqueName('dead');
    const group = uniqueName('group');
    const exhausted: unknown[] = [];
    const letters: ReceivedMessage[] = [];
    class Order {
      @IsInt()
      @Min(1)
      quantity!: number;
    }
    @Injectable()
    class Orders {
      @RocketMQListener({
        topic,
        group,
        maxAttempts: 2,
        retry: '1s',
        startFrom: 'first',
        onExhausted: 'gaveUp',
      })
      on(@Payload() order: Order): void {
        if (order.quantity === 1) throw new RejectMessage('we do not sell one');
        throw new Error('out of order');
      }

      gaveUp(error: Error, { attempt }: RocketMQContext): void {
        exhausted.push([error.message, attempt]);
      }

      @DeadLetterListener({ group, startFrom: 'first' })
      dead(@RawMessage() message: ReceivedMessage): void {
        letters.push(message);
      }
    }
    const template = await started({
      providers: [Orders],
      prepare: (nest) => nest.useGlobalPipes(new ValidationPipe({ transform: true })),
    });
    const events = recordEvents(app as INestApplication, 'message.rejected', 'message.exhausted');
    const receipts = new Map<string, string>();
    for (const [name, payload] of [
      ['rejected', { quantity: 1 }],
      ['invalid', { quantity: 0 }],
      ['failing', { quantity: 2 }],
    ] as const) {
      const receipt = await template.send(`${topic}:t`, payload, { keys: name, headers: { name } });
      receipts.set(name, receipt.messageId);
    }
    await waitFor(() => letters.length === 3);
    const found = Object.fromEntries(
      letters.map(
        (letter) => [letter.headers['name'], [letter.headers[DEAD_LETTER_REASON], letter]] as const,
      ),
    );
    expect(found['rejected']?.[0]).toBe('we do not sell one');
    expect(found['invalid']?.[0]).toBe('invalid payload: quantity must not be less than 1');
    expect(found['failing']?.[0]).toBe('failed 2 times: out of order');
    for (const [name, messageId] of receipts) {
      expect(found[name]?.[1]).toMatchObject({ messageId, topic, tag: 't', keys: [name] });
    }
    expect(exhausted).toEqual([['out of order', 2]]);
    expect(events.map(({ name }) => name).sort()).toEqual([
      'message.exhausted',
      'message.rejected',
      'message.rejected',
    ]);
  });

  it('because its body is not JSON is a dead letter at once', async () => {
    const topic = uniqueName('broken');
    const group = uniqueName('group');
    const letters: ReceivedMessage[] = [];
    let handled = 0;
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group, startFrom: 'first' })
      on(@Payload() _order: unknown): void {
        handled++;
      }

      @DeadLetterListener({ group, startFrom: 'first' })
      dead(@RawMessage() message: ReceivedMessage): void {
        letters.push(message);
      }
    }
    const template = await started({ providers: [Orders] });
    await template.producer.send({ topic, body: Buffer.from('{broken') });
    await waitFor(() => letters.length === 1);
    expect(letters[0]?.headers[DEAD_LETTER_REASON]).toMatch(/^undecodable body: .*is not JSON/);
    expect(letters[0]?.body.toString()).toBe('{broken');
    expect(handled).toBe(0);
  });
});

describe('at run time', () => {
  it('a listener is paused, resumed, stopped and started through the registry', async () => {
    const topic = uniqueName('pause');
    const seen: number[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({ id: 'orders', topic, group: uniqueName('group'), startFrom: 'first' })
      on(@Payload() n: number): void {
        seen.push(n);
      }
    }
    const template = await started({ providers: [Orders] });
    const registry = (app as INestApplication).get(RocketMQListenerRegistry);
    await template.send(topic, 1);
    await waitFor(() => seen.length === 1);
    registry.pause('orders');
    await template.send(topic, 2);
    // What proves the pause: a second application in another group gets the message, this one does not.
    const others: number[] = [];
    @Injectable()
    class Others {
      @RocketMQListener({ topic, group: uniqueName('other'), startFrom: 'first' })
      on(@Payload() n: number): void {
        others.push(n);
      }
    }
    const second = await nestApp({ providers: [Others] });
    await waitFor(() => others.length === 2);
    await second.close();
    expect(seen).toEqual([1]);
    registry.resume('orders');
    await waitFor(() => seen.length === 2);
    await registry.stop('orders');
    expect(registry.list()).toMatchObject([{ id: 'orders', state: 'stopped', queues: [] }]);
    await template.send(topic, 3);
    await registry.start('orders');
    await waitFor(() => seen.length === 3);
    expect(seen).toEqual([1, 2, 3]);
  });

  it('closing in the middle of a burst loses nothing and repeats nothing that was acknowledged', async () => {
    const topic = uniqueName('burst');
    const group = uniqueName('group');
    const handled: number[] = [];
    let running = 0;
    // So slow that closing comes before the end, also on a busy machine.
    let workMs = 50;
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group, startFrom: 'first', concurrency: 8 })
      async on(@Payload() n: number): Promise<void> {
        running++;
        await new Promise((resolve) => setTimeout(resolve, workMs));
        handled.push(n);
        running--;
      }
    }
    const template = await started({ providers: [Orders] });
    const count = 400;
    await template.sendBatch(
      topic,
      Array.from({ length: count }, (_, n) => n),
    );
    await waitFor(() => handled.length > 20);
    await app?.close();
    expect(running).toBe(0);
    const before = handled.length;
    expect(before).toBeLessThan(count);
    workMs = 1;
    app = await nestApp({ providers: [Orders] });
    await waitFor(() => new Set(handled).size === count);
    expect(handled).toHaveLength(count);
    expect(running).toBe(0);
  });

  it('closing gives a handler that hangs its time and no more; its message comes again', async () => {
    const topic = uniqueName('hang');
    const group = uniqueName('group');
    const signals: AbortSignal[] = [];
    const handled: number[] = [];
    let hangs = true;
    @Injectable()
    class Orders {
      @RocketMQListener({ topic, group, startFrom: 'first' })
      async on(@Payload() n: number, @Ctx() { signal }: RocketMQContext): Promise<void> {
        signals.push(signal);
        if (hangs) await new Promise(() => undefined);
        handled.push(n);
      }
    }
    const template = await started({ providers: [Orders], options: { shutdown: { drainTimeout: '200ms' } } });
    const drains = recordEvents(app as INestApplication, 'drain.end');
    await template.send(topic, 1);
    await waitFor(() => signals.length === 1);
    await app?.close();
    expect(drains).toMatchObject([{ event: { connection: 'default', abandoned: 1 } }]);
    expect(signals[0]?.aborted).toBe(true);
    expect(handled).toEqual([]);
    hangs = false;
    app = await nestApp({ providers: [Orders] });
    await waitFor(() => handled.length === 1);
    expect(handled).toEqual([1]);
  });
});
