import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { CommitOutcomeUnknownError, Outbox, RocketMQTemplate, runInTransaction } from 'nestjs-rocketmq';
import { DataSource, type EntityManager } from 'typeorm';
import type { Told } from '../../../test/laws/laws.js';
import type { ProcessPlan } from '../contract.js';
import { HistoryWriter } from '../history/history-writer.js';
import { nextOf, writeMessage, type Labelled } from './message-rows.js';
import { topicOf } from './names.js';
import { PLAN } from './tokens.js';

const KEYS = 50;
/** Transactions under way at the same time; more wait for the database to come back. */
const MOST_AT_ONCE = 12;
/** Longer than a broker waits before it asks about a half message. */
const LONG_WORK_MS = 4_000;

/** Who runs a transaction: the library, TypeORM, or the library with a half message. */
type Via = 'runInTransaction' | 'dataSource.transaction' | 'sendInTransaction';
/** How the work ends: it throws, or goes on although one of its statements failed. */
type End = 'well' | 'throws' | 'swallows';

interface Transaction {
  readonly tx: string;
  readonly via: Via;
  readonly end: End;
  readonly labels: string[];
  /** COMMIT may have been sent. */
  done: boolean;
}

/** Begins transactions that write messages, and writes down what it is told about them. */
@Injectable()
export class Business {
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #count = 0;

  constructor(
    @Inject(PLAN) private readonly plan: ProcessPlan,
    @Inject(HistoryWriter) private readonly history: HistoryWriter,
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Outbox) private readonly outbox: Outbox,
    @Inject(RocketMQTemplate) private readonly template: RocketMQTemplate,
  ) {}

  begin(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(
      () => {
        if (this.#running.size < MOST_AT_ONCE) this.#run();
        this.begin();
      },
      (Math.random() * 2_000) / this.plan.rate,
    );
  }

  /** Transactions under way end as they would have. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#running);
  }

  #run(): void {
    const via = pick<Via>(['runInTransaction', 5], ['dataSource.transaction', 2], ['sendInTransaction', 3]);
    // TypeORM does not tell when PostgreSQL answered COMMIT with a rollback; the library does.
    const end = pick<End>(
      ['well', 88],
      ['throws', 10],
      ['swallows', via === 'dataSource.transaction' ? 0 : 2],
    );
    const tx = `${this.plan.name}.${++this.#count}`;
    const transaction: Transaction = { tx, via, end, labels: [], done: false };
    const running = this.#transact(transaction).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #transact(transaction: Transaction): Promise<void> {
    const { tx, via, labels } = transaction;
    this.history.add({ what: 'begins', tx, via });
    let told: Told = 'committed';
    let reason: string | undefined;
    try {
      if (via === 'sendInTransaction') await this.#pay(transaction);
      else if (via === 'runInTransaction') {
        await runInTransaction(this.dataSource, (manager) => this.#order(transaction, manager));
      } else await this.dataSource.transaction((manager) => this.#order(transaction, manager));
    } catch (error) {
      const unknown =
        error instanceof CommitOutcomeUnknownError || (via === 'dataSource.transaction' && transaction.done);
      told = unknown ? 'unknown' : 'rolled-back';
      reason = String(error);
    }
    this.history.add({ what: 'told', tx, told, labels, ...(reason !== undefined && { error: reason }) });
  }

  async #order(transaction: Transaction, manager: EntityManager): Promise<void> {
    if (Math.random() < 0.3) await this.#writeNotes(transaction, manager);
    else await this.#writeOrders(transaction, manager);
    await this.#finish(transaction, manager);
  }

  /** Of one to three keys, always locked in the same order; sometimes two of one key. */
  async #writeOrders({ tx, labels }: Transaction, manager: EntityManager): Promise<void> {
    const destination = topicOf(this.plan.run, 'orders');
    const count = pick([1, 6], [2, 2], [3, 1]);
    const keys = new Set(Array.from({ length: count }, () => `k${Math.floor(Math.random() * KEYS)}`));
    for (const key of [...keys].toSorted()) {
      const messages: Labelled[] = [];
      for (let more = pick([1, 9], [2, 1]); more > 0; more--) {
        const n = await nextOf(manager, key);
        messages.push({ label: `${key}:${n}/${tx}`, key, n });
      }
      for (const message of messages) await writeMessage(manager, 'orders', message);
      labels.push(...messages.map(({ label }) => label));
      await this.outbox.sendAll(
        manager,
        messages.map((payload) => ({ destination, payload, options: { orderingKey: key } })),
      );
    }
  }

  async #writeNotes({ tx, labels }: Transaction, manager: EntityManager): Promise<void> {
    for (let index = pick([1, 5], [2, 2], [4, 1]); index > 0; index--) {
      const message: Labelled = { label: `${tx}.${index}` };
      labels.push(message.label);
      await writeMessage(manager, 'notes', message);
      await this.outbox.send(manager, topicOf(this.plan.run, 'notes'), message);
    }
  }

  async #pay(transaction: Transaction): Promise<void> {
    const message: Labelled = { label: transaction.tx };
    transaction.labels.push(message.label);
    await this.template.sendInTransaction(
      topicOf(this.plan.run, 'payments'),
      message,
      async (manager) => {
        await writeMessage(manager, 'payments', message);
        if (Math.random() < 0.05) await sleep(LONG_WORK_MS);
        await this.#finish(transaction, manager);
      },
      { whenBrokerAway: Math.random() < 0.5 ? 'outbox' : 'throw' },
    );
  }

  async #finish(transaction: Transaction, manager: EntityManager): Promise<void> {
    const { tx, labels, end } = transaction;
    if (Math.random() < 0.1) await sleep(Math.random() * 200);
    if (end === 'throws') throw new Error('The business changed its mind');
    if (end === 'swallows') await manager.query('SELECT 1 / 0').catch(() => undefined);
    this.history.add({ what: 'commits', tx, labels });
    transaction.done = true;
  }
}

/** One of these, by weight. */
function pick<T>(...choices: readonly (readonly [T, number])[]): T {
  let left = Math.random() * choices.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of choices) {
    left -= weight;
    if (left < 0) return value;
  }
  return (choices[0] as readonly [T, number])[0];
}
