import { Injectable } from '@nestjs/common';
import { Idempotent, OnTag, Payload, RocketMQListener, Tx } from 'nestjs-rocketmq';
import { EntityManager } from 'typeorm';
import { INVENTORY, StockRejected, StockReserved } from '../contracts/inventory-events.js';
import { OrderLifecycle } from './order-lifecycle.js';

@Injectable()
@RocketMQListener({ topic: INVENTORY, group: 'orders', startFrom: 'first' })
export class InventoryAnswersListener {
  constructor(private readonly lifecycle: OrderLifecycle) {}

  @OnTag('reserved')
  @Idempotent()
  async onReserved(@Payload() { orderId }: StockReserved, @Tx() tx: EntityManager): Promise<void> {
    await this.lifecycle.confirm(tx, orderId);
  }

  @OnTag('rejected')
  @Idempotent()
  async onRejected(@Payload() { orderId, reason }: StockRejected, @Tx() tx: EntityManager): Promise<void> {
    await this.lifecycle.reject(tx, orderId, reason);
  }
}
