import { Injectable } from '@nestjs/common';
import { Idempotent, Payload, RocketMQListener, Tx } from 'nestjs-rocketmq';
import { EntityManager } from 'typeorm';
import { ORDER_DEADLINES, PaymentDeadline } from '../contracts/order-events.js';
import { PaymentCompleted, PAYMENTS } from '../contracts/payment-events.js';
import { OrderLifecycle } from './order-lifecycle.js';

/**
 * A listener can also be a method, several in a class. Listeners of one group, in whichever class, are one consumer
 * with several topics.
 *
 * Payment and deadline may arrive at the same moment, on different instances. Neither listener needs to know: both
 * lock the order in their transaction, and the second one sees what the first one did.
 */
@Injectable()
export class PaymentResultsListener {
  constructor(private readonly lifecycle: OrderLifecycle) {}

  @RocketMQListener({ topic: PAYMENTS, group: 'orders', filter: 'completed' })
  @Idempotent()
  async onPaymentCompleted(@Payload() { orderId }: PaymentCompleted, @Tx() tx: EntityManager): Promise<void> {
    await this.lifecycle.pay(tx, orderId);
  }

  @RocketMQListener({ topic: ORDER_DEADLINES, group: 'orders' })
  @Idempotent()
  async onPaymentDeadline(@Payload() { orderId }: PaymentDeadline, @Tx() tx: EntityManager): Promise<void> {
    await this.lifecycle.expire(tx, orderId);
  }
}
