import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { Outbox, type RocketMQContext } from 'nestjs-rocketmq';
import type { EntityManager } from 'typeorm';
import type { ProcessPlan } from '../contract.js';
import { HistoryWriter } from '../history/history-writer.js';
import { nextOf, writeEffect, writeMessage, type Labelled } from './message-rows.js';
import { topicOf, type GroupName, type TopicName } from './names.js';
import { PLAN } from './tokens.js';

const FAILURES = 0.02;
const LONGEST_WORK_MS = 20;

export const CONCURRENT = 8;
export const ORDERED = 4;

/** What every handler does: history, effect, sometimes a failure, sometimes a message of its own. */
@Injectable()
export class HandlerFrame {
  #made = 0;

  constructor(
    @Inject(PLAN) private readonly plan: ProcessPlan,
    @Inject(HistoryWriter) private readonly history: HistoryWriter,
    @Inject(Outbox) private readonly outbox: Outbox,
  ) {}

  async handle(
    group: GroupName,
    message: Labelled,
    tx: EntityManager,
    context: RocketMQContext,
    makes?: TopicName,
  ): Promise<void> {
    const { label } = message;
    const concurrency = group === 'ledger' || group === 'dispatch' ? ORDERED : CONCURRENT;
    this.history.add({ what: 'handles', group, label, attempt: context.attempt, concurrency });
    try {
      await writeEffect(tx, group, message);
      await sleep(Math.random() * LONGEST_WORK_MS);
      const made = makes === undefined ? undefined : await this.#make(tx, makes, message);
      if (Math.random() < FAILURES) throw new Error('The handler changed its mind');
      if (made !== undefined) this.history.add({ what: 'commits', tx: `${group} ${label}`, labels: [made] });
      this.history.add({ what: 'handled', group, label });
    } catch (error) {
      this.history.add({ what: 'handled', group, label, error: String(error) });
      throw error;
    }
  }

  async #make(tx: EntityManager, topic: TopicName, { key }: Labelled): Promise<string> {
    const own = `${this.plan.name}.h${++this.#made}`;
    const ownKey = key === undefined ? undefined : `${topic} ${key}`;
    const n = ownKey === undefined ? undefined : await nextOf(tx, ownKey);
    const message: Labelled = {
      label: ownKey === undefined ? own : `${ownKey.replace(' ', '-')}:${n}/${own}`,
      ...(ownKey !== undefined && n !== undefined && { key: ownKey, n }),
    };
    await writeMessage(tx, topic, message);
    await this.outbox.send(tx, topicOf(this.plan.run, topic), message, {
      ...(ownKey !== undefined && { orderingKey: ownKey }),
    });
    return message.label;
  }
}
