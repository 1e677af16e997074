import { Injectable } from '@nestjs/common';
import { Idempotent, OnTag, Payload, RocketMQListener, Tx } from 'nestjs-rocketmq';
import { EntityManager } from 'typeorm';
import { OrderConfirmed, OrderEnded, ORDERS } from '../contracts/order-events.js';
import { Payment } from './payment.entity.js';

/**
 * Here the order of events matters: a `cancelled` handled before its `confirmed` would leave a payment due for an
 * order that is gone. Mode `ordered` handles the events of one ordering key one after the other, as they were
 * committed; if one fails, the ones behind it wait. Both tags have to be in one group for that.
 */
@Injectable()
@RocketMQListener({ topic: ORDERS, group: 'payment', mode: 'ordered', startFrom: 'first' })
export class PaymentListener {
  @OnTag('confirmed')
  @Idempotent()
  async onOrderConfirmed(
    @Payload() { orderId, amount }: OrderConfirmed,
    @Tx() tx: EntityManager,
  ): Promise<void> {
    await tx.insert(Payment, { orderId, amount, status: 'due' });
  }

  @OnTag('cancelled')
  @Idempotent()
  async onOrderCancelled(@Payload() { orderId }: OrderEnded, @Tx() tx: EntityManager): Promise<void> {
    await tx.update(Payment, { orderId, status: 'due' }, { status: 'closed' });
    // Paid while the deadline passed: the order was cancelled first, so the money goes back.
    await tx.update(Payment, { orderId, status: 'paid' }, { status: 'refunded' });
  }
}
