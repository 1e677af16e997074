import { Injectable } from '@nestjs/common';
import { Outbox, RejectMessage } from 'nestjs-rocketmq';
import type { EntityManager } from 'typeorm';
import { AppConfig } from '../config/app-config.js';
import {
  ORDER_DEADLINES,
  OrderEvent,
  type OrderConfirmed,
  type OrderCreated,
  type OrderEnded,
  type PaymentDeadline,
} from '../contracts/order-events.js';
import { OrderHistory } from './order-history.entity.js';
import { Order, type OrderStatus } from './order.entity.js';

/**
 * The steps an order can take. Every step gets the transaction it belongs to, and changes three things in it: the
 * order, its history, and the outbox. They are committed together or not at all; that is the whole trick.
 */
@Injectable()
export class OrderLifecycle {
  constructor(
    private readonly outbox: Outbox,
    private readonly config: AppConfig,
  ) {}

  async place(tx: EntityManager, order: Order): Promise<void> {
    await tx.insert(Order, order);
    await this.note(tx, order, `placed: ${order.quantity} x ${order.product}, asking the inventory`);
    await this.publish(tx, OrderEvent.created, {
      orderId: order.id,
      product: order.product,
      quantity: order.quantity,
    } satisfies OrderCreated);
  }

  async confirm(tx: EntityManager, orderId: string): Promise<void> {
    const order = await this.lock(tx, orderId);
    await this.move(tx, order, 'awaiting-payment', 'goods are reserved, waiting for the payment');
    await this.publish(tx, OrderEvent.confirmed, { orderId, amount: order.amount } satisfies OrderConfirmed);
    // The reminder is committed with the step that needs it. No timer of this process is involved: it may die.
    await this.outbox.send(tx, ORDER_DEADLINES, { orderId } satisfies PaymentDeadline, {
      delay: this.config.paymentWindow,
      keys: orderId,
    });
  }

  async reject(tx: EntityManager, orderId: string, reason: string): Promise<void> {
    const order = await this.lock(tx, orderId);
    await this.move(tx, order, 'rejected', `rejected by the inventory: ${reason}`);
  }

  async pay(tx: EntityManager, orderId: string): Promise<void> {
    const order = await this.lock(tx, orderId);
    if (order.status === 'cancelled') {
      // Both ended at the same time and the deadline was first. The payment service hears `orders:cancelled` too.
      await this.note(tx, order, 'the payment came too late, it will be refunded');
      return;
    }
    await this.move(tx, order, 'paid', 'payment received');
    await this.publish(tx, OrderEvent.paid, { orderId } satisfies OrderEnded);
  }

  async expire(tx: EntityManager, orderId: string): Promise<void> {
    const order = await this.lock(tx, orderId);
    if (order.status !== 'awaiting-payment') return; // it was paid: the reminder has nothing to do
    await this.move(tx, order, 'cancelled', 'not paid in time, giving the goods back');
    await this.publish(tx, OrderEvent.cancelled, { orderId } satisfies OrderEnded);
  }

  /** Two messages about one order may be handled at the same time, on two instances: the row lock puts them in line. */
  private async lock(tx: EntityManager, id: string): Promise<Order> {
    const order = await tx.findOne(Order, { where: { id }, lock: { mode: 'pessimistic_write' } });
    // An order that is not there will not be there later either: no further attempts, a dead letter at once.
    if (!order) throw new RejectMessage(`there is no order ${id}`);
    return order;
  }

  private async move(tx: EntityManager, order: Order, status: OrderStatus, note: string): Promise<void> {
    await tx.update(Order, order.id, { status });
    await this.note(tx, { id: order.id, status }, note);
  }

  private async note(tx: EntityManager, order: Pick<Order, 'id' | 'status'>, note: string): Promise<void> {
    await tx.insert(OrderHistory, { orderId: order.id, status: order.status, note, at: new Date() });
  }

  private async publish(
    tx: EntityManager,
    destination: string,
    event: OrderCreated | OrderConfirmed | OrderEnded,
  ): Promise<void> {
    await this.outbox.send(tx, destination, event, { orderingKey: event.orderId, keys: event.orderId });
  }
}
