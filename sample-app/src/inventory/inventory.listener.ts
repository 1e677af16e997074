import { Injectable } from '@nestjs/common';
import { Idempotent, OnTag, Outbox, Payload, RocketMQListener, Tx } from 'nestjs-rocketmq';
import { EntityManager } from 'typeorm';
import { InventoryEvent, type StockRejected, type StockReserved } from '../contracts/inventory-events.js';
import { OrderCreated, OrderEnded, ORDERS } from '../contracts/order-events.js';
import { StockKeeper } from './stock-keeper.js';

/**
 * One consumer group for everything the inventory wants to hear of orders; each tag has its method. A group that is
 * new starts with the `first` message there is: an order placed while we were starting is not overlooked.
 *
 * `@Idempotent()` opens a transaction, notes the message in it, and hands it over as `@Tx()`. The note, the change of
 * the stock and the answer in the outbox are committed together: no crash can separate them. A message that comes
 * again finds the note, and is done. If a method throws, all three are rolled back, and RocketMQ delivers again.
 */
@Injectable()
@RocketMQListener({ topic: ORDERS, group: 'inventory', startFrom: 'first' })
export class InventoryListener {
  constructor(
    private readonly stock: StockKeeper,
    private readonly outbox: Outbox,
  ) {}

  @OnTag('created')
  @Idempotent()
  async onOrderCreated(@Payload() order: OrderCreated, @Tx() tx: EntityManager): Promise<void> {
    const { orderId, product, quantity } = order;
    const options = { orderingKey: orderId, keys: orderId };
    if (await this.stock.reserve(tx, { orderId, product, quantity })) {
      await this.outbox.send(tx, InventoryEvent.reserved, { orderId } satisfies StockReserved, options);
    } else {
      // "Not enough" is an answer, not a failure: a thrown error would only make RocketMQ ask again.
      const reason = `not enough of ${product} for ${quantity}`;
      await this.outbox.send(
        tx,
        InventoryEvent.rejected,
        { orderId, reason } satisfies StockRejected,
        options,
      );
    }
  }

  @OnTag('paid')
  @Idempotent()
  async onOrderPaid(@Payload() order: OrderEnded, @Tx() tx: EntityManager): Promise<void> {
    await this.stock.sell(tx, order.orderId);
  }

  @OnTag('cancelled')
  @Idempotent()
  async onOrderCancelled(@Payload() order: OrderEnded, @Tx() tx: EntityManager): Promise<void> {
    await this.stock.release(tx, order.orderId);
  }
}
