import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Payload, RocketMQListener, RocketMQModule, RocketMQTemplate } from 'nestjs-rocketmq';
import { MemoryBroker } from 'nestjs-rocketmq/testing';
import { expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Inventory {
  readonly seen: unknown[] = [];

  @RocketMQListener({ topic: 'orders', group: 'inventory', filter: 'created', startFrom: 'first' })
  onCreated(@Payload() order: unknown): void {
    this.seen.push(order);
  }
}

@Module({ providers: [Inventory] })
class InventoryModule {}

it('runs an application on the in-process engine, with nothing installed', async () => {
  const app = await Test.createTestingModule({
    imports: [RocketMQModule.forRoot({ engine: 'memory', topics: 'create' }), InventoryModule],
  }).compile();
  await app.init();
  await app.get(RocketMQTemplate).send('orders:created', { id: 1 });
  await app.get(RocketMQTemplate).send('orders:paid', { id: 2 });
  await waitFor(() => app.get(Inventory).seen.length > 0, { describe: () => 'the order' });
  expect(app.get(Inventory).seen).toEqual([{ id: 1 }]);
  await app.close();
});

it('lets two applications share one in-process broker, and keeps others apart', async () => {
  const broker = new MemoryBroker();
  const start = async (handle: MemoryBroker, providers: object[]) => {
    const app = await Test.createTestingModule({
      imports: [
        RocketMQModule.forRoot({ engine: 'memory', memory: { broker: handle }, topics: 'create' }),
        ...(providers as never[]),
      ],
    }).compile();
    return app.init();
  };
  const inventory = await start(broker, [InventoryModule]);
  const orders = await start(broker, []);
  const strangers = await start(new MemoryBroker(), [InventoryModule]);
  await orders.get(RocketMQTemplate).send('orders:created', { id: 7 });
  await waitFor(() => inventory.get(Inventory).seen.length > 0, {
    describe: () => 'the order of the other application',
  });
  expect(strangers.get(Inventory).seen).toEqual([]);
  await Promise.all([inventory.close(), orders.close(), strangers.close()]);
});
