import { Inject, Injectable } from '@nestjs/common';
import {
  Ctx,
  Idempotent,
  Payload,
  RocketMQListener,
  Tx,
  type ListenerOptions,
  type RocketMQContext,
} from 'nestjs-rocketmq';
import type { EntityManager } from 'typeorm';
import type { ProcessPlan } from '../contract.js';
import { CONCURRENT, HandlerFrame, ORDERED } from './handler-frame.js';
import type { Labelled } from './message-rows.js';
import { groupOf, topicOf, type GroupName, type TopicName } from './names.js';
import { PLAN } from './tokens.js';

/** Settings of every listener here; retries are short, and nothing is given up. */
export function listener(topic: TopicName, group: GroupName, mode: 'ordered' | 'concurrent') {
  return ({ run }: ProcessPlan): ListenerOptions => ({
    topic: topicOf(run, topic),
    group: groupOf(run, group),
    mode,
    concurrency: mode === 'ordered' ? ORDERED : CONCURRENT,
    startFrom: 'first',
    maxAttempts: 100_000,
    retry: mode === 'ordered' ? '300ms' : '1s',
    tuning: { rebalanceIntervalMs: 5_000, offsetPersistIntervalMs: 1_000, longPollingMs: 5_000 },
  });
}

@Injectable()
export class LedgerListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  /** Every third order of a key is shipped: the shipment is committed with the effect, or neither is. */
  @RocketMQListener(listener('orders', 'ledger', 'ordered'), [PLAN])
  @Idempotent()
  handle(
    @Payload() order: Labelled,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    const ships = (order.n ?? 0) % 3 === 0;
    return this.frame.handle('ledger', order, tx, context, ships ? 'shipments' : undefined);
  }
}

@Injectable()
export class AuditListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  @RocketMQListener(listener('orders', 'audit', 'concurrent'), [PLAN])
  @Idempotent()
  handle(
    @Payload() order: Labelled,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    return this.frame.handle('audit', order, tx, context);
  }
}

@Injectable()
export class NotebookListener {
  constructor(@Inject(HandlerFrame) private readonly frame: HandlerFrame) {}

  @RocketMQListener(listener('notes', 'notebook', 'concurrent'), [PLAN])
  @Idempotent()
  handle(@Payload() note: Labelled, @Tx() tx: EntityManager, @Ctx() context: RocketMQContext): Promise<void> {
    return this.frame.handle('notebook', note, tx, context);
  }
}
