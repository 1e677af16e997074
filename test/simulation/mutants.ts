import type { EntityManager } from 'typeorm';
import { HandlerCalls } from '../../lib/client/consumer/handler-calls.js';
import { ProcessQueue } from '../../lib/client/consumer/process-queue.js';
import { MemoryClient } from '../../lib/client/memory/memory-client.js';
import type { HalfMessage } from '../../lib/client/producer.js';
import { journalOf } from '../../lib/database/transaction-journal.js';
import type { IdempotentCall } from '../../lib/idempotency/idempotency.js';
import { Idempotency } from '../../lib/idempotency/idempotency.js';
import { IdempotencyInterceptor } from '../../lib/idempotency/idempotency.interceptor.js';
import { PostgresInboxStore } from '../../lib/idempotency/postgres-inbox-store.js';
import { OutcomeReporter } from '../../lib/listener/message-outcome.js';
import { Dispatcher } from '../../lib/outbox/dispatcher.js';
import { LaneKeeper } from '../../lib/outbox/lane-keeper.js';
import { LaneReader } from '../../lib/outbox/lane-reader.js';
import { Lane, type PendingRow } from '../../lib/outbox/lane.js';
import { OutboxRelay } from '../../lib/outbox/outbox-relay.js';
import { Outbox } from '../../lib/outbox/outbox.js';
import type { LaneLease, ParkOrder } from '../../lib/outbox/outbox-store.js';
import { ParkedMessages } from '../../lib/outbox/parked-messages.js';
import { PostgresOutboxStore } from '../../lib/outbox/postgres-outbox-store.js';
import { LogChecker } from '../../lib/transaction/log-checker.js';
import { PostgresTransactionLog } from '../../lib/transaction/postgres-transaction-log.js';
import {
  LOG_CHECKER,
  TRANSACTION_CHECKER_HEADER,
  TransactionCheckers,
} from '../../lib/transaction/transaction-checkers.js';
import { TransactionRunner } from '../../lib/transaction/transaction-runner.js';
import { runSeed, type Seed } from './explore.js';

type Method = (this: Self, ...args: readonly never[]) => unknown;
/** An object whose private parts a mutant reaches into. */
type Self = Record<string, unknown>;

/** One way to be wrong: parts of the shipped code, each replaced by something that looks much the same. */
export interface Mutant {
  readonly name: string;
  /** A run that shows it, at the time of writing; others are looked for when it does so no more. */
  readonly shownBy: Seed;
  readonly parts: readonly Part[];
}

interface Part {
  readonly target: object;
  readonly member: string;
  readonly mutate: (original: Method) => Method;
}

/**
 * Makes the code wrong until `undo`. `used` tells whether a wrong part ran: one that never does proves nothing.
 *
 * @throws Error when the code has changed and a part is no longer there
 */
export function infect({ name, parts }: Mutant): { readonly undo: () => void; readonly used: () => boolean } {
  let used = false;
  const undos = parts.map(({ target, member, mutate }) => {
    const descriptor = Object.getOwnPropertyDescriptor(target, member);
    const original = (descriptor?.value ?? descriptor?.get) as Method | undefined;
    if (descriptor === undefined || original === undefined) {
      throw new Error(`Mutant "${name}" finds no ${member} any more. Adapt it to the code.`);
    }
    const mutated = mutate(original);
    const replacement = function replacement(this: Self, ...args: readonly never[]): unknown {
      used = true;
      return mutated.apply(this, args as never);
    };
    const kind = descriptor.get === undefined ? { value: replacement } : { get: replacement };
    Object.defineProperty(target, member, { ...descriptor, ...kind });
    return () => Object.defineProperty(target, member, descriptor);
  });
  return {
    undo: () => {
      for (const undo of undos) undo();
    },
    used: () => used,
  };
}

function part(target: object, member: string, mutate: (original: Method) => unknown): Part {
  return { target, member, mutate: mutate as Part['mutate'] };
}

interface Runner {
  readonly manager: EntityManager;
  release(): Promise<void>;
}

/** Runs a store's method outside of the transaction it was given. */
function outside(original: Method) {
  return async function outsideOf(
    this: Self,
    _tx: EntityManager,
    ...rest: readonly never[]
  ): Promise<unknown> {
    const source = (this['dataSource'] ?? (this['session'] as Self)['dataSource']) as {
      createQueryRunner(): Runner;
    };
    const runner = source.createQueryRunner();
    try {
      return await original.apply(this, [runner.manager, ...rest] as never);
    } finally {
      await runner.release();
    }
  };
}

/** Removes rows of any age. */
function atOnce(original: Method) {
  return function sweep(this: Self, _retentionMs: number, limit: number): unknown {
    return original.apply(this, [0, limit] as never);
  };
}

/** The half message among arguments; without one (the message goes through the outbox) there is nothing to do wrong. */
function halfOf(args: readonly unknown[]): Pick<HalfMessage, 'commit' | 'rollback'> {
  const half = args.find((each) => typeof (each as Self | undefined)?.['rollback'] === 'function');
  const nothing = (): Promise<void> => Promise.resolve();
  return (half as HalfMessage | undefined) ?? { commit: nothing, rollback: nothing };
}

interface LookOfLane {
  readonly lane: Lane;
  readonly kind: string;
  readonly after: number;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the outbox row is written outside the transaction',
    shownBy: 'overtaken:1:-',
    parts: [part(PostgresOutboxStore.prototype, 'insert', outside)],
  },
  {
    name: 'rows go out before their transaction is committed',
    shownBy: 'overtaken:1:-',
    parts: [
      part(Outbox.prototype, 'write', (original) => {
        return async function write(
          this: Self,
          tx: EntityManager,
          ...rest: readonly never[]
        ): Promise<unknown> {
          const receipts = await original.apply(this, [tx, ...rest] as never);
          if (tx.queryRunner) for (const tell of journalOf(tx.queryRunner).afterCommit.splice(0)) tell(true);
          return receipts;
        };
      }),
    ],
  },
  {
    name: 'rows are deleted before the broker acknowledged them',
    shownBy: 'parking:1:random',
    parts: [
      part(OutboxRelay.prototype, 'found', (original) => {
        return function found(this: Self, rows: readonly PendingRow[]): unknown {
          const { store } = this['deps'] as { store: PostgresOutboxStore };
          store
            .settle(
              rows.map(({ row }) => row),
              false,
            )
            .catch(() => undefined);
          return original.apply(this, [rows] as never);
        };
      }),
    ],
  },
  {
    name: 'a failed send counts as acknowledged',
    shownBy: 'parking:1:random',
    parts: [
      part(Dispatcher.prototype, 'failed', () => {
        return function failed(this: Self, _queue: unknown, rows: readonly PendingRow[]): void {
          (this['events'] as { acknowledged(rows: readonly PendingRow[], ms: number): void }).acknowledged(
            rows,
            1,
          );
        };
      }),
    ],
  },
  {
    name: 'several rows of one key are sent at once',
    shownBy: 'parking:1:random',
    parts: [part(Dispatcher.prototype, 'limitOf', () => () => 4)],
  },
  {
    name: 'a lease that ended is still used',
    shownBy: 'ordered:2:random',
    parts: [
      part(Lane.prototype, 'canSend', () => {
        return function canSend(this: Self): boolean {
          return this['state'] === 'held';
        };
      }),
      part(LaneKeeper.prototype, 'giveUpExpired', () => () => undefined),
    ],
  },
  {
    name: 'parking is not fenced by the epoch',
    shownBy: 'parked-late:7:db.outbox.demote=freeze-before*1',
    parts: [part(PostgresOutboxStore.prototype, 'fence', () => () => Promise.resolve(true))],
  },
  {
    name: 'a refused row does not hold back its key',
    shownBy: 'parking:1:random',
    parts: [
      part(OutboxRelay.prototype, 'refused', (original) => {
        return function refused(this: Self, pending: PendingRow, ...rest: readonly never[]): unknown {
          const result = original.apply(this, [pending, ...rest] as never);
          pending.lane.blockedKeys.clear();
          return result;
        };
      }),
    ],
  },
  {
    name: 'a takeover does not know which keys are held back',
    shownBy: 'parking:2:random',
    parts: [part(OutboxRelay.prototype, 'acquiring', () => () => Promise.resolve())],
  },
  {
    name: 'rows of slow transactions are not looked for',
    shownBy: 'slow-transaction:1:-',
    parts: [
      part(LaneReader.prototype, 'kindOf', (original) => {
        return function kindOf(this: Self, ...args: readonly never[]): unknown {
          return original.apply(this, args as never) === undefined ? undefined : 'look';
        };
      }),
    ],
  },
  {
    name: 'rows of a key are handed on although an earlier one appears later',
    shownBy: 'overtaken:1:-',
    parts: [part(LaneReader.prototype, 'inOrder', () => (looks: unknown) => Promise.resolve(looks))],
  },
  {
    name: 'slower rows are looked for below where the lane stands now, not below where the look began',
    shownBy: 'rewound:1:-',
    parts: [
      part(LaneReader.prototype, 'inOrder', (original) => {
        return function inOrder(
          this: Self,
          looks: readonly LookOfLane[],
          ...rest: readonly never[]
        ): unknown {
          const moved = looks.map((look) => ({
            ...look,
            after: look.kind === 'look' ? look.lane.cursor : look.after,
          }));
          return original.apply(this, [moved, ...rest] as never);
        };
      }),
    ],
  },
  {
    name: 'what the broker refuses for good is removed',
    shownBy: 'dead:1:-',
    parts: [
      part(PostgresOutboxStore.prototype, 'park', (original) => {
        return async function park(
          this: PostgresOutboxStore,
          lease: LaneLease,
          orders: readonly ParkOrder[],
          ...rest: readonly never[]
        ): Promise<unknown> {
          const dead = orders.filter(({ state }) => state === 'dead');
          if (dead.length > 0)
            await this.settle(
              dead.map(({ id }) => ({ lane: lease.lane, id })),
              false,
            );
          const others = orders.filter(({ state }) => state !== 'dead');
          return original.apply(this as never, [lease, others, ...rest] as never);
        };
      }),
    ],
  },
  {
    name: 'a dead row does not hold back those behind it',
    shownBy: 'dead:1:-',
    parts: [
      part(PostgresOutboxStore.prototype, 'park', (original) => {
        return function park(this: Self, lease: unknown, orders: unknown): unknown {
          return original.apply(this, [lease, orders, 'skip'] as never);
        };
      }),
    ],
  },
  {
    name: 'what waited behind a discarded row stays there',
    shownBy: 'dead:1:-',
    parts: [part(ParkedMessages.prototype, 'putInOrder', () => () => Promise.resolve())],
  },
  {
    name: 'a row that a look sent is sent again when its COMMIT is answered',
    shownBy: 'found-first:1:-',
    parts: [part(Lane.prototype, 'wasFound', () => () => false)],
  },
  {
    name: 'the relay says that it has stopped and goes on',
    shownBy: 'stopped-early:1:-',
    parts: [part(OutboxRelay.prototype, 'drain', () => () => Promise.resolve({ abandoned: 0 }))],
  },
  {
    name: 'the half message is committed before the local transaction',
    shownBy: 'transaction:1:-',
    parts: [
      part(TransactionRunner.prototype, 'localTransaction', (original) => {
        return async function localTransaction(this: Self, ...args: readonly unknown[]): Promise<unknown> {
          await halfOf(args)
            .commit()
            .catch(() => undefined);
          return original.apply(this, args as never);
        };
      }),
    ],
  },
  {
    name: 'a COMMIT without an answer counts as rolled back',
    shownBy: 'transaction:1:db.commit=fail-after*1',
    parts: [
      part(TransactionRunner.prototype, 'localTransaction', (original) => {
        return async function localTransaction(this: Self, ...args: readonly unknown[]): Promise<unknown> {
          try {
            return await original.apply(this, args as never);
          } catch (error) {
            await halfOf(args)
              .rollback()
              .catch(() => undefined);
            throw error;
          }
        };
      }),
    ],
  },
  {
    name: 'a check answers rollback and leaves no tombstone',
    shownBy: 'transaction:1:db.log.begin=slow-before*4,db.commit=crash-after*4',
    parts: [
      part(PostgresTransactionLog.prototype, 'decide', () => {
        return async function decide(this: PostgresTransactionLog, id: string): Promise<unknown> {
          const answer = await this.look(id);
          return answer === 'absent' ? 'rolled-back' : answer;
        };
      }),
    ],
  },
  {
    name: 'a check that failed answers rollback',
    shownBy: 'transaction:1:broker.end-transaction=fail-before*3,db.log.decide=fail-before*8',
    parts: [
      part(LogChecker.prototype, 'check', (original) => {
        return async function check(this: Self, ...args: readonly never[]): Promise<unknown> {
          try {
            return await original.apply(this, args as never);
          } catch {
            return 'rollback';
          }
        };
      }),
    ],
  },
  {
    name: 'the inbox row is written outside the transaction',
    shownBy: 'consumer:1:random',
    parts: [part(PostgresInboxStore.prototype, 'record', outside)],
  },
  {
    name: 'the inbox knows a message by its place in the queue',
    shownBy: 'consumer:1:random',
    parts: [
      part(Idempotency.prototype, 'runInTransaction', (original) => {
        return function runInTransaction(this: Self, call: IdempotentCall): unknown {
          const messages = call.messages.map((message) => ({
            ...message,
            messageId: message.offsetMessageId,
          }));
          return original.apply(this, [{ ...call, messages }] as never);
        };
      }),
    ],
  },
  {
    name: 'a message is acknowledged although its COMMIT failed',
    shownBy: 'consumer:1:random',
    parts: [
      part(Idempotency.prototype, 'runInTransaction', (original) => {
        return async function runInTransaction(this: Self, ...args: readonly never[]): Promise<unknown> {
          try {
            return await original.apply(this, args as never);
          } catch {
            return undefined;
          }
        };
      }),
    ],
  },
  {
    name: 'a message is acknowledged before COMMIT',
    shownBy: 'consumer:1:random',
    parts: [
      part(IdempotencyInterceptor.prototype, 'run', (original) => {
        return function run(this: Self, ...args: readonly never[]): Promise<unknown> {
          (original.apply(this, args as never) as Promise<unknown>).catch(() => undefined);
          return Promise.resolve();
        };
      }),
    ],
  },
  {
    name: 'a lease is completed before the handler ran',
    shownBy: 'lease:1:-',
    parts: [
      part(PostgresInboxStore.prototype, 'claim', (original) => {
        return async function claim(this: PostgresInboxStore, group: number, key: string, ms: number) {
          const answer = (await original.apply(this as never, [group, key, ms] as never)) as {
            epoch?: number;
          };
          if (answer.epoch !== undefined) await this.complete(group, key, answer.epoch);
          return answer;
        };
      }),
    ],
  },
  {
    name: 'a lease that was released in between counts as completed',
    shownBy: 'released-between:48:-',
    parts: [
      part(PostgresInboxStore.prototype, 'claim', (original) => {
        return async function claim(this: Self, ...args: readonly never[]): Promise<unknown> {
          const answer = (await original.apply(this, args as never)) as { remainingMs?: number };
          return answer.remainingMs === 0 ? { state: 'done' } : answer;
        };
      }),
    ],
  },
  {
    name: 'a lease is not renewed while its handler runs',
    shownBy: 'lease-renewed:2:-',
    parts: [part(PostgresInboxStore.prototype, 'extend', () => () => Promise.resolve(true))],
  },
  {
    name: 'messages that a batch handler did not do are remembered as done',
    shownBy: 'batch:1:-',
    parts: [part(PostgresInboxStore.prototype, 'forget', () => () => Promise.resolve())],
  },
  {
    name: 'the log answers for messages of a checker of the application',
    shownBy: 'own-checker:1:db.commit=crash-after*1',
    parts: [
      part(TransactionCheckers.prototype, 'checkerOf', (original) => {
        return function checkerOf(this: Self, message: object): unknown {
          const headers = { [TRANSACTION_CHECKER_HEADER]: LOG_CHECKER };
          return original.apply(this, [{ ...message, headers }] as never);
        };
      }),
    ],
  },
  {
    name: 'handled messages are forgotten before their time',
    shownBy: 'swept:1:7=lost-before',
    parts: [part(PostgresInboxStore.prototype, 'sweep', atOnce)],
  },
  {
    name: 'outcomes of transactions are forgotten before their time',
    shownBy: 'swept:1:99=crash-after',
    parts: [part(PostgresTransactionLog.prototype, 'sweep', atOnce)],
  },
  {
    name: 'what is remembered is never forgotten',
    shownBy: 'swept:1:-',
    parts: [part(PostgresInboxStore.prototype, 'sweep', () => () => Promise.resolve(0))],
  },
  {
    name: 'a failed handler is acknowledged',
    shownBy: 'consumer:1:random',
    parts: [part(OutcomeReporter.prototype, 'failed', () => () => Promise.resolve({ action: 'ack' }))],
  },
  {
    name: 'an offset is committed above an unfinished message',
    shownBy: 'killed-at-work:1:-',
    parts: [
      part(ProcessQueue.prototype, 'committableOffset', () => {
        return function committableOffset(this: ProcessQueue): number {
          return this.nextOffset;
        };
      }),
    ],
  },
  {
    name: 'handlers run without a limit',
    shownBy: 'random:63:random',
    parts: [
      part(MemoryClient.prototype, 'createPushConsumer', (original) => {
        return function createPushConsumer(this: Self, options: object): unknown {
          return original.apply(this, [{ ...options, concurrency: 50 }] as never);
        };
      }),
    ],
  },
  {
    name: 'a handler whose queue went away counts no longer',
    shownBy: 'varied:1222:random',
    parts: [
      part(HandlerCalls.prototype, 'abortQueue', () => {
        return function abortQueue(this: HandlerCalls, ...args: Parameters<HandlerCalls['giveUpQueue']>) {
          this.giveUpQueue(...args);
        };
      }),
    ],
  },
];

/** A mutant, and the first seed that shows it. */
export interface Catch {
  readonly seed: Seed | undefined;
  readonly violation: string | undefined;
  readonly runs: number;
}

/** Runs seeds until one shows the mutant. */
export async function hunt(mutant: Mutant, seeds: Iterable<Seed> | AsyncIterable<Seed>): Promise<Catch> {
  let runs = 0;
  for await (const seed of seeds) {
    const infection = infect(mutant);
    try {
      runs += 1;
      const { violations } = await runSeed(seed);
      if (violations.length > 0 && infection.used()) return { seed, violation: violations[0], runs };
    } finally {
      infection.undo();
    }
  }
  return { seed: undefined, violation: undefined, runs };
}
