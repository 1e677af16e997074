import type { DataSource, EntityManager } from 'typeorm';
import type { Clock, ClockTimer } from '../client/clock.js';
import { LeaseJob, type JobLease } from '../database/lease-job.js';
import { toKey128 } from '../database/message-id.js';
import { runInTransaction } from '../database/own-transaction.js';
import { checkSchemaVersion } from '../database/schema-version.js';
import { databaseFailure, sqlErrorKind } from '../database/sql-error.js';
import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { IdempotentOptions, ResolvedIdempotencyOptions } from './idempotency-options.js';
import type { InboxStore } from './inbox-store.js';
import { MessageBusyError } from './message-busy-error.js';

/** One call of a handler, for one message or a batch. */
export interface IdempotentCall {
  readonly connection: string;
  readonly listener: string;
  readonly group: string;
  readonly messages: readonly ReceivedMessage[];
  /** One per message. */
  readonly payloads: readonly unknown[];
  readonly options: IdempotentOptions;
  /** Tells the handler its transaction; undefined when it has ended. */
  setTransaction(manager: EntityManager | undefined): void;
  /** Runs the handler for these positions of the call, and says what it decided. */
  handle(positions: readonly number[]): Promise<HandlerDecision>;
}

export interface HandlerDecision {
  /** What the handler returned. */
  readonly value: unknown;
  /** Positions of the call that are to be delivered again or rejected: they have no effect to remember. */
  readonly undone: ReadonlySet<number>;
}

export interface IdempotencyDeps {
  readonly dataSource: DataSource;
  readonly store: InboxStore;
  readonly lease: JobLease;
  readonly clock: Clock;
  readonly events: RocketMQEvents;
  readonly options: ResolvedIdempotencyOptions;
  /** Id of this instance. */
  readonly instance: string;
  /** Between 0 and 1. @default Math.random */
  readonly random?: () => number;
}

/** Version of the inbox tables this release was written for. */
const INBOX_SCHEMA = 1;
/** From here on the table is worth a word at boot. */
const MANY_ROWS = 50_000_000;
/** A row with its index entries, in bytes. */
const ROW_BYTES = 150;

/** Lets a message have its effect once: remembers, in the database, what had one. */
export class Idempotency {
  private readonly groups = new Map<string, Promise<number>>();
  private readonly sweeper: LeaseJob;

  constructor(private readonly deps: IdempotencyDeps) {
    const { lease, clock, options, instance, events, random } = deps;
    this.sweeper = new LeaseJob({
      name: 'inbox-sweep',
      owner: instance,
      lease,
      clock,
      everyMs: options.sweepEveryMs,
      work: (signal) => this.sweepAll(signal),
      onError: (error) => events.emit('inbox.error', { phase: 'sweep', error }),
      random,
    });
  }

  /**
   * At boot.
   * @throws RocketMQError `SCHEMA_MISMATCH`, `DATABASE_FAILED`
   */
  check(): Promise<void> {
    const { dataSource, options } = this.deps;
    return checkSchemaVersion(dataSource, options.tablePrefix, { feature: 'inbox', version: INBOX_SCHEMA });
  }

  /** What an operator should know at boot, as sentences; usually nothing. */
  async warnings(): Promise<readonly string[]> {
    const { options } = this.deps;
    const expected = ((options.expectedPerSecond ?? 0) * options.retentionMs) / 1_000;
    const rows = Math.max(expected, (await this.approximateRows()) ?? 0);
    if (rows <= MANY_ROWS) return [];
    const gigabytes = Math.round((rows * ROW_BYTES) / 1e9);
    return [
      `The inbox will hold about ${Math.round(rows / 1e6)} million rows (${gigabytes} GB) at a retention of ${Math.round(options.retentionMs / 3_600_000)} h. Shorten idempotency.retentionMs to what redeliveries need, or partition the table.`,
    ];
  }

  /** Messages remembered, as the database's statistics have it; undefined where it keeps none. */
  approximateRows(): Promise<number | undefined> {
    return this.deps.store.approximateRows();
  }

  /** Begins to remove what is older than the retention. */
  start(): void {
    this.sweeper.start();
  }

  stop(): Promise<void> {
    return this.sweeper.stop();
  }

  /** Runs the handler in a transaction that also records the messages: both, or nothing. */
  async runInTransaction(call: IdempotentCall): Promise<unknown> {
    const { dataSource, store } = this.deps;
    const groupId = await this.groupId(call.group);
    const keys = keysOf(call);
    let duplicates: readonly number[] = [];
    const outcome = await runInTransaction<{ value: unknown }>(
      dataSource,
      async (tx) => {
        const fresh = await this.record(tx, groupId, keys);
        const positions = firstPositions(keys, fresh);
        duplicates = complement(positions, keys.length);
        if (positions.length === 0) return { value: undefined };
        call.setTransaction(tx);
        try {
          const { value, undone } = await call.handle(positions);
          if (undone.size === positions.length) throw new NothingDone(value);
          if (undone.size > 0) {
            await store.forget(
              tx,
              groupId,
              [...undone].map((position) => keys[position] as string),
            );
          }
          return { value };
        } finally {
          call.setTransaction(undefined);
        }
      },
      {
        isolation: call.options.isolation,
        stillThere: async ({ manager }) => (await store.count(manager, groupId, keys)) > 0,
      },
    ).catch((error: unknown) => {
      if (error instanceof NothingDone) return { value: error.value };
      throw error;
    });
    for (const position of duplicates) this.duplicate(call, position);
    return outcome.value;
  }

  /** Records the message before and after the handler, for effects outside the database. One message. */
  async runWithLease(call: IdempotentCall): Promise<unknown> {
    const { store, options } = this.deps;
    const groupId = await this.groupId(call.group);
    const [key] = keysOf(call);
    if (key === undefined) return undefined;
    const leaseMs = call.options.leaseMs ?? options.leaseMs;
    const claim = await store.claim(groupId, key, leaseMs);
    if (claim.state === 'done') {
      this.duplicate(call, 0);
      return undefined;
    }
    if (claim.state === 'busy') throw new MessageBusyError(Math.max(1_000, Math.ceil(claim.remainingMs)));
    const { epoch } = claim;
    const renewal = this.renewing(leaseMs, () => store.extend(groupId, key, epoch, leaseMs));
    let decision: HandlerDecision;
    try {
      decision = await call.handle([0]);
    } catch (error) {
      renewal.stop();
      await this.release(groupId, key, epoch);
      throw error;
    }
    renewal.stop();
    if (decision.undone.size > 0) await this.release(groupId, key, epoch);
    else if (!(await store.complete(groupId, key, epoch))) renewal.lost();
    return decision.value;
  }

  /** Prolongs a lease while a handler runs. A lease that was lost is told, once: the handler cannot be stopped. */
  private renewing(leaseMs: number, extend: () => Promise<boolean>): { stop(): void; lost(): void } {
    const { clock, events } = this.deps;
    let timer: ClockTimer;
    let over = false;
    let told = false;
    const failed = (error: unknown): void => events.emit('inbox.error', { phase: 'lease', error });
    const lost = (): void => {
      if (told) return;
      told = true;
      failed(
        new RocketMQError(
          'DATABASE_FAILED',
          'A lease ended while its handler ran, so another instance may have done the same. Make leaseMs longer than the database can be away.',
        ),
      );
    };
    const renew = async (): Promise<void> => {
      try {
        if (!(await extend()) && !over) {
          lost();
          return;
        }
      } catch (error) {
        failed(error);
      }
      if (!over) timer = clock.setTimeout(() => void renew(), leaseMs / 3);
    };
    timer = clock.setTimeout(() => void renew(), leaseMs / 3);
    const stop = (): void => {
      over = true;
      clock.clearTimeout(timer);
    };
    return { stop, lost };
  }

  /** A release that fails costs time, nothing else: the lease ends by itself. */
  private async release(groupId: number, key: string, epoch: number): Promise<void> {
    await this.deps.store.release(groupId, key, epoch).catch((error: unknown) => {
      this.deps.events.emit('inbox.error', { phase: 'lease', error });
    });
  }

  private async record(
    tx: EntityManager,
    groupId: number,
    keys: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const { store, options } = this.deps;
    const distinct = [...new Set(keys)];
    const fresh = await store.record(tx, groupId, distinct, options.waitMs).catch((error: unknown) => {
      const kind = sqlErrorKind(error);
      if (kind === 'lock-timeout' || kind === 'conflict')
        throw new MessageBusyError(options.busyRetryMs, error);
      throw error;
    });
    if (fresh.size === distinct.length) return fresh;
    // A record under a lease has no effect yet: the handler was switched from lease to transaction in between.
    const known = distinct.filter((key) => !fresh.has(key));
    const leased = await store.leased(tx, groupId, known);
    if (leased.size > 0) throw new MessageBusyError(options.busyRetryMs);
    return fresh;
  }

  private groupId(group: string): Promise<number> {
    let id = this.groups.get(group);
    if (id === undefined) {
      id = this.deps.store.groupId(group).catch((error: unknown) => {
        this.groups.delete(group); // a failure is not remembered
        throw databaseFailure(error, `group "${group}" was looked up in the inbox`);
      });
      this.groups.set(group, id);
    }
    return id;
  }

  private duplicate({ messages, connection, listener, group }: IdempotentCall, position: number): void {
    const message = messages[position];
    if (message === undefined) return;
    const { topic, tag, messageId, attempt } = message;
    this.deps.events.emit('message.duplicate', {
      connection,
      listener,
      group,
      topic,
      tag,
      messageId,
      attempt,
    });
  }

  private async sweepAll(signal: AbortSignal): Promise<void> {
    const { store, options, events } = this.deps;
    let removed = 0;
    while (!signal.aborted) {
      const some = await store.sweep(options.retentionMs, options.sweepBatch);
      removed += some;
      if (some < options.sweepBatch) break;
    }
    if (removed > 0) events.emit('inbox.swept', { removed });
  }
}

/** Rolls back a transaction whose handler decided that nothing was done. */
class NothingDone extends Error {
  constructor(readonly value: unknown) {
    super('The handler decided that the messages are to come again');
  }
}

function keysOf({ messages, payloads, options: { key } }: IdempotentCall): readonly string[] {
  return messages.map((message, position) =>
    key === undefined ? toKey128(message.messageId) : toKey128(`key:${key(message, payloads[position])}`),
  );
}

/** Of every new key, the first position that has it. */
function firstPositions(keys: readonly string[], fresh: ReadonlySet<string>): number[] {
  const seen = new Set<string>();
  const positions: number[] = [];
  for (const [position, key] of keys.entries()) {
    if (!fresh.has(key) || seen.has(key)) continue;
    seen.add(key);
    positions.push(position);
  }
  return positions;
}

function complement(positions: readonly number[], length: number): number[] {
  const taken = new Set(positions);
  return Array.from({ length }, (_, position) => position).filter((position) => !taken.has(position));
}
