import { Injectable } from '@nestjs/common';
import { Ctx, RocketMQBatchListener, RocketMQContext, RocketMQListener } from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { scriptedApp } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';
import { waitFor } from '../../support/wait-for.js';

describe('a handler that hangs', () => {
  function hanging() {
    const contexts: RocketMQContext[] = [];
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const hang = (ctx: RocketMQContext): Promise<void> => {
      contexts.push(ctx);
      return released;
    };
    return { contexts, hang, release: () => release() };
  }

  it('is reported, aborted and given up: its message is retried, what it says later is ignored', async () => {
    const { contexts, hang, release } = hanging();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory', timeout: '30s', retry: '5s' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        void ctx.signal;
        return hang(ctx);
      }
    }
    const clock = new FakeClock();
    const { app, consumer, events } = await scriptedApp({ providers: [Orders], clock });
    let result: unknown;
    const delivery = consumer('inventory')
      .deliver(received({}))
      .then((value) => (result = value));
    await clock.advance(29_000);
    expect(result).toBeUndefined();
    expect(contexts[0]?.signal.aborted).toBe(false);
    await clock.advance(3_000);
    await delivery;
    expect(result).toEqual([{ action: 'retry', delayMs: 5_000 }]);
    expect(contexts[0]?.signal.aborted).toBe(true);
    release();
    await clock.settle();
    const names = events.map(({ name }) => name).filter((name) => name.startsWith('message.'));
    expect(names).toEqual(['message.received', 'message.timeout', 'message.retried']);
    await app.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('on its last attempt is exhausted', async () => {
    const { hang } = hanging();
    const exhausted: unknown[] = [];
    @Injectable()
    class Orders {
      @RocketMQListener({
        topic: 'orders',
        group: 'inventory',
        timeout: 1_000,
        maxAttempts: 2,
        onExhausted: (error, context) => exhausted.push((error as Error).message, context.attempt),
      })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        return hang(ctx);
      }
    }
    const clock = new FakeClock();
    const { app, consumer } = await scriptedApp({ providers: [Orders], clock });
    const delivery = consumer('inventory').deliver(received({}, { attempt: 2 }));
    await clock.advance(1_200);
    expect(await delivery).toEqual([
      { action: 'dead-letter', reason: 'failed 2 times: The handler ran longer than 1000 ms' },
    ]);
    expect(exhausted).toEqual(['The handler ran longer than 1000 ms', 2]);
    await app.close();
  });

  it('keeps its message when it is ordered, and is reported again and again', async () => {
    const { contexts, hang, release } = hanging();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory', mode: 'ordered', timeout: '10s' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        return hang(ctx);
      }
    }
    const clock = new FakeClock();
    const { app, consumer, events } = await scriptedApp({ providers: [Orders], clock });
    let result: unknown;
    const delivery = consumer('inventory')
      .deliver(received({}))
      .then((value) => (result = value));
    await clock.advance(32_000);
    expect(result).toBeUndefined();
    expect(contexts[0]?.signal.aborted).toBe(true);
    expect(events.filter(({ name }) => name === 'message.timeout')).toHaveLength(3);
    release();
    await delivery;
    expect(result).toEqual([{ action: 'ack' }]);
    await app.close();
  });

  it('that its consumer has let go of, as when the queue moved on, is waited for when the application stops', async () => {
    const { hang, release } = hanging();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory', timeout: '30s' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        return hang(ctx);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const order: string[] = [];
    const delivery = consumer('inventory').deliver(received({}));
    const handled = delivery.then(() => order.push('handled'));
    const closed = app.close().then(() => order.push('closed'));
    await waitFor(() => consumer('inventory').closed);
    release();
    await Promise.all([handled, closed]);
    expect(order).toEqual(['handled', 'closed']);
  });

  it('that its consumer has let go of, and that outlives the drain, is told as given up', async () => {
    const { hang, release } = hanging();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        return hang(ctx);
      }
    }
    const clock = new FakeClock();
    const { app, consumer, events } = await scriptedApp({
      providers: [Orders],
      clock,
      options: { shutdown: { drainTimeout: '5s' } },
    });
    const delivery = consumer('inventory').deliver(received({}));
    const closed = app.close();
    await waitFor(() => consumer('inventory').closed);
    await clock.advance(5_000);
    await closed;
    expect(events.find(({ name }) => name === 'drain.end')?.event).toMatchObject({ abandoned: 1 });
    release();
    await delivery;
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives up a whole batch', async () => {
    const { hang } = hanging();
    @Injectable()
    class Orders {
      @RocketMQBatchListener({ topic: 'orders', group: 'inventory', timeout: '10s' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        return hang(ctx);
      }
    }
    const clock = new FakeClock();
    const { app, consumer } = await scriptedApp({ providers: [Orders], clock });
    const delivery = consumer('inventory').deliver(received(1), received(2));
    await clock.advance(12_000);
    const retry = { action: 'retry', delayMs: undefined };
    expect(await delivery).toEqual([retry, retry]);
    await app.close();
  });

  it("sees the engine's abort through the same signal", async () => {
    let signal: AbortSignal | undefined;
    const { hang, release } = hanging();
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Ctx() ctx: RocketMQContext): Promise<void> {
        signal = ctx.signal;
        return hang(ctx);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    const delivery = consumer('inventory').deliver(received({}));
    await waitFor(() => signal);
    consumer('inventory').abort.abort(new Error('queue lost'));
    expect(signal?.aborted).toBe(true);
    expect(String(signal?.reason)).toMatch(/queue lost/);
    release();
    await delivery;
    await app.close();
  });
});
