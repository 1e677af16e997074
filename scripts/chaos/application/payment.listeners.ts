import { Inject, Injectable } from '@nestjs/common';
import { Ctx, Idempotent, Payload, RocketMQListener, Tx, type RocketMQContext } from 'nestjs-rocketmq';
import type { EntityManager } from 'typeorm';
import { HandlerFrame } from './handler-frame.js';
import type { Labelled } from './message-rows.js';
import { listener } from './order.listeners.js';
import { PLAN } from './tokens.js';

@Injectable()
export class CashierListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  /** Every payment has a receipt. */
  @RocketMQListener(listener('payments', 'cashier', 'concurrent'), [PLAN])
  @Idempotent()
  handle(
    @Payload() payment: Labelled,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    return this.frame.handle('cashier', payment, tx, context, 'receipts');
  }
}

@Injectable()
export class DispatchListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  @RocketMQListener(listener('shipments', 'dispatch', 'ordered'), [PLAN])
  @Idempotent()
  handle(
    @Payload() shipment: Labelled,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    return this.frame.handle('dispatch', shipment, tx, context);
  }
}

@Injectable()
export class ArchiveListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  @RocketMQListener(listener('receipts', 'archive', 'concurrent'), [PLAN])
  @Idempotent()
  handle(
    @Payload() receipt: Labelled,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    return this.frame.handle('archive', receipt, tx, context);
  }
}
