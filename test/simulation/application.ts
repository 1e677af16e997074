import 'reflect-metadata';
import { AsyncResource } from 'node:async_hooks';
import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { defer, lastValueFrom } from 'rxjs';
import type { DataSource, EntityManager } from 'typeorm';
import { MemoryClient } from '../../lib/client/memory/memory-client.js';
import type { Producer, TransactionResolution } from '../../lib/client/producer.js';
import { LeaseJob } from '../../lib/database/lease-job.js';
import { CommitOutcomeUnknownError, runInTransaction } from '../../lib/database/own-transaction.js';
import { sqlJobLease } from '../../lib/database/sql-job-lease.js';
import { SqlSession } from '../../lib/database/sql-session.js';
import { dataSourceTransactionHost } from '../../lib/database/transaction-host.js';
import { watch } from '../../lib/database/transaction-journal.js';
import { resolveIdempotencyOptions } from '../../lib/idempotency/idempotency-options.js';
import { IDEMPOTENT_METADATA } from '../../lib/idempotency/idempotency.tokens.js';
import { Idempotency } from '../../lib/idempotency/idempotency.js';
import { IdempotencyInterceptor } from '../../lib/idempotency/idempotency.interceptor.js';
import { PostgresInboxStore } from '../../lib/idempotency/postgres-inbox-store.js';
import { planConsumers, type ConsumerPlan } from '../../lib/listener/consumer-plan.js';
import type { HandlerPipeline, HandlerPipelineFactory } from '../../lib/listener/handler-pipeline.js';
import { createListenerContainer } from '../../lib/listener/listener-container.factory.js';
import type { ListenerContainer } from '../../lib/listener/listener-container.js';
import type { InstanceWrapper } from '../../lib/listener/listener-definition.js';
import { RocketMQError } from '../../lib/message/rocketmq-error.js';
import type { RocketMQContext } from '../../lib/listener/rocketmq-context.js';
import { jsonSerializer } from '../../lib/message/message-serializer.js';
import { RocketMQEvents } from '../../lib/observability/rocketmq-events.js';
import { ParkedMessages } from '../../lib/outbox/parked-messages.js';
import { resolveOutboxOptions } from '../../lib/outbox/outbox-options.js';
import { OutboxRelay } from '../../lib/outbox/outbox-relay.js';
import { Outbox } from '../../lib/outbox/outbox.js';
import { PostgresOutboxStore } from '../../lib/outbox/postgres-outbox-store.js';
import { LogChecker } from '../../lib/transaction/log-checker.js';
import { PostgresTransactionLog } from '../../lib/transaction/postgres-transaction-log.js';
import { LOG_CHECKER, TransactionCheckers } from '../../lib/transaction/transaction-checkers.js';
import { resolveTransactionOptions } from '../../lib/transaction/transaction-options.js';
import { TransactionRunner } from '../../lib/transaction/transaction-runner.js';
import type { Checker } from './checker.js';
import type { FakeDatabase } from './fake-database.js';
import { fakeDataSource } from './fake-query-runner.js';
import type { Machine } from './machine.js';
import type { JobPlan, ListenerPlan, Scenario } from './scenario.js';
import type { SimBroker } from './sim-broker.js';
import type { HandlerRun } from '../laws/laws.js';

const PREFIX = 'rmq_';
const OWN_CHECKER = 'own';
const DRAIN_MS = 3_000;
/** Rows that one statement removes at most. */
const SWEEP_BATCH = 2;
const NO_LEASE = { acquire: () => Promise.resolve(false) };

/** What is passed from process to process: only what is outside of them. */
export interface Surroundings {
  readonly scenario: Scenario;
  readonly database: FakeDatabase;
  readonly broker: SimBroker;
  readonly checker: Checker;
  /** Handlers that run under a lease now, by group and label. */
  readonly underLease: Set<string>;
}

interface Order {
  readonly label: string;
  readonly key?: string;
}

/**
 * One instance of an application: the shipped outbox, transactions, inbox and listeners, wired as the module wires
 * them, on the clock, database and broker of a simulated machine.
 */
export class Application {
  readonly relay: OutboxRelay;
  readonly #dataSource: DataSource;
  readonly #client: MemoryClient;
  readonly #producer: Producer;
  readonly #outbox: Outbox;
  readonly #transactions: TransactionRunner;
  readonly #logSweeper: LeaseJob;
  readonly #idempotency: Idempotency;
  readonly #interceptor: IdempotencyInterceptor;
  readonly #parked: ParkedMessages;
  readonly #events = new RocketMQEvents();
  readonly #containers: ListenerContainer[] = [];
  readonly #jobs = new Set<Promise<void>>();
  #stopping = false;
  #started: Promise<void> | undefined;
  #nextId = 0;

  constructor(
    readonly machine: Machine,
    private readonly around: Surroundings,
  ) {
    const { scenario, database, broker } = around;
    const { world, clock, name } = machine;
    const dataSource = fakeDataSource(machine, database);
    this.#dataSource = dataSource;
    broker.expect(name, machine);
    this.#client = new MemoryClient({
      engine: 'memory',
      memory: { broker },
      instanceName: name,
      clock,
      requestTimeoutMs: 1_500,
      heartbeatIntervalMs: 20_000,
    });
    this.#producer = this.#client.createProducer({ group: 'app', sendTimeoutMs: 1_200 });
    const events = this.#events;
    const store = new PostgresOutboxStore(new SqlSession(dataSource, 'postgres'), PREFIX);
    const options = resolveOutboxOptions({ ...scenario.outbox, ordering: scenario.ordering });
    this.#parked = new ParkedMessages(dataSource, PREFIX, options.behindDead, events);
    this.relay = new OutboxRelay({
      store,
      lease: NO_LEASE,
      producer: () => this.#producer,
      clock,
      events,
      options,
      random: world.random.next,
      instance: name,
    });
    const defaults = { serializer: jsonSerializer, nextMessageId: () => this.#messageId() };
    watch(dataSource);
    this.#outbox = new Outbox({
      dataSource,
      store,
      relay: this.relay,
      transactionHost: dataSourceTransactionHost(dataSource),
      defaults,
      ordering: scenario.ordering,
    });
    const transactionOptions = resolveTransactionOptions({
      graceMs: 1_000,
      checkWaitMs: 300,
      whenBrokerAway: scenario.whenBrokerAway,
    });
    const log = new PostgresTransactionLog(dataSource, PREFIX);
    const checkers = new TransactionCheckers('app', events, clock);
    const identity = (): Promise<string> => Promise.resolve('the only one');
    const logChecker = new LogChecker(log, identity, transactionOptions, clock);
    checkers.register(LOG_CHECKER, (message) => logChecker.check(message));
    checkers.register(OWN_CHECKER, (message) => this.#decide(message.body));
    this.#producer.setTransactionCheck(checkers.check);
    this.#transactions = new TransactionRunner({
      dataSource,
      producer: this.#producer,
      log,
      identity,
      checkers,
      events,
      clock,
      defaults,
      options: transactionOptions,
      outbox: this.#outbox,
    });
    const { sweep } = scenario;
    const lease = sweep === undefined ? NO_LEASE : sqlJobLease(dataSource, PREFIX);
    this.#logSweeper = new LeaseJob({
      name: 'transaction-log-sweep',
      owner: name,
      lease,
      clock,
      everyMs: sweep?.everyMs ?? 0,
      work: async (signal) => {
        while (!signal.aborted && (await log.sweep(sweep?.retentionMs ?? 0, SWEEP_BATCH)) === SWEEP_BATCH);
      },
      onError: () => undefined,
      random: world.random.next,
    });
    this.#idempotency = new Idempotency({
      dataSource,
      store: new PostgresInboxStore(dataSource, PREFIX),
      lease,
      clock,
      events,
      options: resolveIdempotencyOptions({
        waitMs: 1_000,
        busyRetryMs: 500,
        leaseMs: 4_000,
        ...(sweep && {
          retentionMs: sweep.retentionMs,
          sweepEveryMs: sweep.everyMs,
          sweepBatch: SWEEP_BATCH,
        }),
      }),
      instance: name,
      random: world.random.next,
    });
    this.#interceptor = new IdempotencyInterceptor(this.#idempotency, new Reflector());
  }

  /** Rejects when something it needs is away; whoever supervises it starts it again. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    const { scenario } = this.around;
    await this.#client.start();
    await this.#producer.start();
    await this.relay.start();
    if (scenario.sweep !== undefined) {
      this.#idempotency.start();
      this.#logSweeper.start();
    }
    for (const listener of scenario.listeners) {
      const container = await this.#container(listener);
      this.#containers.push(container);
      await container.start();
    }
  }

  /** It was told to stop; a second signal changes nothing. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** SIGTERM: requests end first. How long they take is theirs: they may wait for each other's locks. */
  async endRequests(): Promise<void> {
    this.#stopping = true;
    await this.#started?.catch(() => undefined);
    await Promise.all(this.#jobs);
  }

  /** Then listeners, then the relay. Resolves with what was given up. */
  async stop(): Promise<number> {
    let abandoned = 0;
    for (const container of this.#containers) abandoned += await container.stop(DRAIN_MS);
    abandoned += (await this.relay.drain(DRAIN_MS)).abandoned;
    await Promise.all([this.#idempotency.stop(), this.#logSweeper.stop()]);
    await this.#client.close();
    return abandoned;
  }

  /** Nobody is there to hear of its failure: the process may be dead by then. */
  run(job: JobPlan): void {
    if (this.#stopping) return;
    this.machine.onCrash(() => this.around.checker.orphaned(job));
    const running = this.#run(job).finally(() => this.#jobs.delete(running));
    this.#jobs.add(running);
  }

  async #run(job: JobPlan): Promise<void> {
    const { checker } = this.around;
    checker.begun(job);
    const work = (tx: EntityManager): Promise<void> => this.#business(tx, job);
    try {
      if (job.kind === 'transaction') {
        const [message] = job.messages;
        const options = job.ownChecker === true ? { checker: OWN_CHECKER } : {};
        await this.#transactions.sendInTransaction('orders', { label: message?.label }, work, options);
      } else {
        await runInTransaction(this.#dataSource, work, {
          stillThere: () => Promise.resolve(true),
        });
      }
      checker.told(job, 'committed');
    } catch (error) {
      checker.told(job, error instanceof CommitOutcomeUnknownError ? 'unknown' : 'rolled-back');
    }
  }

  async #business(tx: EntityManager, { kind, messages, end, workMs }: JobPlan): Promise<void> {
    const { scenario } = this.around;
    for (const { label, key } of messages) {
      if (key !== undefined && scenario.ordering === 'natural') await tx.query('app.lock', [key]);
      const order = { label, key: scenario.unordered === true ? undefined : key };
      await tx.query('app.business', [label, order.key]);
      if (kind === 'outbox') {
        await this.#outbox.send(tx, 'orders', order, key === undefined ? {} : { orderingKey: key });
      }
    }
    if (workMs > 0) await this.#sleep(workMs);
    if (end === 'throw') throw new Error('The business changed its mind');
    if (end === 'swallow') await tx.query('app.fail').catch(() => undefined);
  }

  /** Somebody looks at what the broker refused for good. */
  operate(): void {
    if (this.#stopping) return;
    const running = this.#operate()
      .catch(() => undefined)
      .finally(() => this.#jobs.delete(running));
    this.#jobs.add(running);
  }

  async #operate(): Promise<void> {
    const { discards } = this.around.scenario;
    const { items } = await this.#parked.list({ state: 'dead' });
    for (const { id } of items) {
      const message = await this.#parked.inspect(id);
      if (message === undefined) continue;
      const { label } = JSON.parse(message.body.toString()) as Order;
      if (discards?.has(label)) await this.#parked.discard({ ids: [id] });
      else await this.#parked.replay({ ids: [id] });
    }
  }

  /** The application's own answer to a check. */
  async #decide(body: Buffer): Promise<TransactionResolution> {
    const { label } = JSON.parse(body.toString()) as Order;
    const runner = this.#dataSource.createQueryRunner();
    try {
      const [row] = (await runner.manager.query('app.decide', [label])) as {
        outcome: TransactionResolution;
      }[];
      return row?.outcome ?? 'unknown';
    } finally {
      await runner.release();
    }
  }

  async #container(plan: ListenerPlan): Promise<ListenerContainer> {
    const { plans } = planConsumers([definitionOf(plan)]);
    const [planned] = plans as [ConsumerPlan];
    const consumer = {
      ...planned.consumer,
      offsetPersistIntervalMs: 1_000,
      rebalanceIntervalMs: 6_000,
      pullBatchSize: 8,
    };
    return createListenerContainer(
      { ...planned, consumer },
      this.#client,
      { serializer: jsonSerializer, policies: {} },
      {
        pipelines: this.#pipelines(plan),
        events: this.#events,
        clock: this.machine.clock,
        log: () => undefined,
        root: new AsyncResource('Simulation'),
      },
    );
  }

  /** Nest's pipeline with the one interceptor that is the library's. */
  #pipelines(plan: ListenerPlan): HandlerPipelineFactory {
    class Listener {}
    const handler = (): void => undefined;
    Reflect.defineMetadata(IDEMPOTENT_METADATA, { mode: plan.idempotent }, handler);
    const bound = {
      instance: {},
      invoke: (payload: unknown, context: RocketMQContext): Promise<unknown> => {
        const execution = {
          getType: () => 'rocketmq',
          getHandler: () => handler,
          getClass: () => Listener,
          getArgs: () => [payload, context],
        } as unknown as ExecutionContext;
        const work = (): Promise<unknown> =>
          plan.batch === undefined
            ? this.#handle(plan, payload as Order, context)
            : this.#handleBatch(plan, payload as readonly Order[], context);
        const next = { handle: () => defer(work) };
        return lastValueFrom(this.#interceptor.intercept(execution, next), { defaultValue: undefined });
      },
      filter: (_payload: unknown, context: RocketMQContext): Promise<unknown> =>
        Promise.reject(context.failure as Error),
    };
    const pipeline: HandlerPipeline = { bound, bind: () => Promise.resolve(bound) };
    return { create: () => Promise.resolve(pipeline) } as unknown as HandlerPipelineFactory;
  }

  async #handle(plan: ListenerPlan, order: Order, context: RocketMQContext): Promise<void> {
    const { checker } = this.around;
    const run = runOf(checker.handling(this.machine, plan, order.label), context);
    const leave = this.#enterLease(plan, order);
    try {
      const { tx } = context;
      if (plan.workMs !== undefined) await this.#sleep(plan.workMs);
      const fails = checker.shouldFail(plan, order.label);
      if (tx === undefined && !fails) checker.outsideEffect(this.machine, plan, order.label);
      if (tx !== undefined) {
        await tx.query('app.effect', [plan.group, order.label, order.key]);
        if (plan.producesTo !== undefined) {
          const made = { label: `${order.label}>` };
          await tx.query('app.business', [made.label, undefined]);
          await this.#outbox.send(tx, plan.producesTo, made);
        }
      }
      if (!fails) return;
      const swallows = tx !== undefined && plan.group === 'effects' && order.label.endsWith('1');
      if (!swallows) throw new Error('The handler failed');
      await tx.query('app.fail').catch(() => undefined);
    } finally {
      leave();
      run.end();
    }
  }

  /** As long as nothing goes wrong, a lease is held by one handler. */
  #enterLease({ group, idempotent }: ListenerPlan, { label }: Order): () => void {
    const { underLease, scenario } = this.around;
    const { world, name } = this.machine;
    if (idempotent !== 'lease' || world.faults > 0 || scenario.events.length > 0) return () => undefined;
    const id = `${group}/${label}`;
    if (underLease.has(id))
      world.violate(`One effect: ${name} handles ${id}, which another one has the lease of`);
    underLease.add(id);
    return () => underLease.delete(id);
  }

  /** What cannot be done now is to come again, the rest has its effect. */
  async #handleBatch(
    plan: ListenerPlan,
    orders: readonly Order[],
    context: RocketMQContext,
  ): Promise<readonly (Error | undefined)[]> {
    const { checker } = this.around;
    const { tx } = context;
    const labels = orders.map(({ label }) => label).join(' ');
    const run = runOf(checker.handling(this.machine, plan, labels), context);
    try {
      const results: (Error | undefined)[] = [];
      for (const { label, key } of orders) {
        const fails = checker.shouldFail(plan, label);
        if (!fails) await tx?.query('app.effect', [plan.group, label, key]);
        results.push(fails ? new Error('The handler failed') : undefined);
      }
      return results;
    } finally {
      run.end();
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.machine.clock.setTimeout(resolve, ms));
  }

  #messageId(): string {
    const who = Buffer.from(this.machine.name).toString('hex').padEnd(16, '0').slice(0, 16);
    return (who + (this.#nextId++).toString(16).padStart(16, '0')).toUpperCase();
  }
}

/** Tells the run when its time is over. */
function runOf(run: HandlerRun, { signal }: RocketMQContext): HandlerRun {
  signal.addEventListener('abort', () => {
    if (signal.reason instanceof RocketMQError && signal.reason.code === 'TIMEOUT') run.overdue();
  });
  return run;
}

function definitionOf({ group, topic, mode, concurrency, batch }: ListenerPlan) {
  return {
    id: group,
    batch: batch !== undefined,
    deadLettersOf: undefined,
    options: {
      topic,
      group,
      mode,
      concurrency,
      ...(batch !== undefined && { batchSize: batch }),
      startFrom: 'first' as const,
      timeout: 20_000,
      retry: 500,
    },
    handlers: [
      {
        wrapper: {} as InstanceWrapper,
        prototype: {},
        method: 'handle',
        tags: undefined,
        usesPayload: true,
        usesTransaction: true,
        itemPipe: undefined,
      },
    ],
  } as const;
}
