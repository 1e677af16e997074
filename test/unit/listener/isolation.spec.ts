import { AsyncLocalStorage } from 'node:async_hooks';
import { type CanActivate, Injectable, UseGuards } from '@nestjs/common';
import { RocketMQBatchListener, RocketMQListener, RocketMQListenerRegistry } from 'nestjs-rocketmq';
import { describe, expect, it } from 'vitest';
import { scriptedApp } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';

describe('the async context of a message', () => {
  const storage = new AsyncLocalStorage<number>();
  let entered = 0;

  @Injectable()
  class Enter implements CanActivate {
    canActivate(): boolean {
      seen.push(storage.getStore());
      storage.enterWith(++entered);
      return true;
    }
  }

  let seen: unknown[] = [];

  @Injectable()
  class Orders {
    @UseGuards(Enter)
    @RocketMQListener({ topic: 'orders', group: 'single' })
    async single(): Promise<void> {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(storage.getStore());
    }

    @UseGuards(Enter)
    @RocketMQBatchListener({ topic: 'orders', group: 'batch' })
    batch(): void {
      seen.push(storage.getStore());
    }
  }

  it('keeps what guards and handlers enter away from the next message', async () => {
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    for (const group of ['single', 'batch']) {
      seen = [];
      entered = 0;
      for (let i = 0; i < 3; i++) await consumer(group).deliver(received(i));
      expect(seen).toEqual([undefined, 1, undefined, 2, undefined, 3]);
      expect(storage.getStore()).toBeUndefined();
    }
    await app.close();
  });

  it('is not the one of whoever started the listener or pushed the message', async () => {
    const { app, consumer } = await scriptedApp({ providers: [Orders], options: { autoStart: false } });
    seen = [];
    entered = 0;
    await storage.run(99, async () => {
      await app.get(RocketMQListenerRegistry).start();
      await consumer('single').deliver(received(1));
    });
    expect(seen).toEqual([undefined, 1]);
    await app.close();
  });
});
