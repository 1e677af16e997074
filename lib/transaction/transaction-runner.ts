import type { DataSource, EntityManager } from 'typeorm';
import type { Clock } from '../client/clock.js';
import type { HalfMessage, Producer } from '../client/producer.js';
import type { SendReceipt } from '../client/send.js';
import { toKey128 } from '../database/message-id.js';
import {
  CommitOutcomeUnknownError,
  runInTransaction,
  type IsolationLevel,
} from '../database/own-transaction.js';
import { sqlErrorKind } from '../database/sql-error.js';
import type { Destination } from '../message/destination.js';
import type { Message } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEventMap, RocketMQEvents } from '../observability/rocketmq-events.js';
import {
  toUnplacedRow,
  type OutboxMessageDefaults,
  type OutboxSendOptions,
  type UnplacedRow,
} from '../outbox/outbox-message.js';
import type { Outbox } from '../outbox/outbox.js';
import { classifySendFailure } from '../outbox/send-failure.js';
import { TRANSACTION_LOG_HEADER, type LogIdentity } from './log-identity.js';
import { LOG_CHECKER, TRANSACTION_CHECKER_HEADER, type TransactionCheckers } from './transaction-checkers.js';
import type { TransactionLog } from './transaction-log.js';
import type { ResolvedTransactionOptions } from './transaction-options.js';

/** What can be said about a transactional message. Brokers refuse a delay or an ordering key on one. */
export interface TransactionSendOptions extends Pick<
  OutboxSendOptions,
  'keys' | 'headers' | 'tag' | 'serializer'
> {
  /** Deadline of the half message, milliseconds. @default the producer's `sendTimeoutMs` */
  readonly timeoutMs?: number;
  /**
   * Name of a `@RocketMQTransactionChecker` that answers for this message instead of the transaction log. The
   * fallback to the outbox is not possible then.
   */
  readonly checker?: string;
  /** Instead of the general setting. */
  readonly whenBrokerAway?: 'throw' | 'outbox';
  /** Of the local transaction. */
  readonly isolation?: IsolationLevel;
}

/** How a transactional send ended. */
export interface TransactionResult<T> {
  /** What the local transaction returned. */
  readonly result: T;
  readonly messageId: string;
  /** How the message goes out. */
  readonly via: 'half-message' | 'outbox';
  /** Of the half message. */
  readonly receipt: SendReceipt | undefined;
}

export interface TransactionRunnerDeps {
  readonly dataSource: DataSource;
  readonly producer: Producer;
  readonly log: TransactionLog;
  readonly identity: LogIdentity;
  readonly checkers: TransactionCheckers;
  readonly events: RocketMQEvents;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly defaults: OutboxMessageDefaults;
  readonly options: ResolvedTransactionOptions;
  readonly outbox?: Outbox | undefined;
}

/**
 * Sends transactional messages: half message, local transaction, commit or rollback. The first statement of the
 * local transaction records its id in the transaction log, where a check can find it, whatever dies in between.
 */
export class TransactionRunner {
  constructor(private readonly deps: TransactionRunnerDeps) {}

  /**
   * Resolves when the local transaction is committed. The message is visible then, or will be at the broker's next
   * check. When `work` fails, everything is rolled back, and its error is thrown.
   *
   * @throws RocketMQError of the half message, before `work` ran; `TRANSACTION_ROLLED_BACK` when a check was answered
   * before `work` began; `DATABASE_FAILED` with an unknown outcome when the connection was lost during COMMIT
   */
  async sendInTransaction<T>(
    destination: string | Destination,
    payload: unknown,
    work: (tx: EntityManager) => Promise<T>,
    options: TransactionSendOptions = {},
  ): Promise<TransactionResult<T>> {
    const { row, message } = await this.prepare(destination, payload, options);
    let half: HalfMessage;
    try {
      half = await this.deps.producer.sendHalf(message, {
        ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
      });
    } catch (error) {
      if (!this.canFallBack(options, error)) throw error;
      return this.throughOutbox(row, work, options);
    }
    const result = await this.localTransaction(row, work, options, half);
    // The transaction is committed: whatever happens now, the message goes out, at the latest after a check.
    await half.commit().catch((error: unknown) => {
      this.deps.events.emit('transaction.error', { phase: 'commit', error });
    });
    return { result, messageId: row.messageId, via: 'half-message', receipt: half.receipt };
  }

  private async prepare(
    destination: string | Destination,
    payload: unknown,
    options: TransactionSendOptions,
  ): Promise<{ readonly row: UnplacedRow; readonly message: Message }> {
    const { defaults, checkers, identity } = this.deps;
    const {
      timeoutMs: _timeout,
      checker = LOG_CHECKER,
      whenBrokerAway: _fallback,
      isolation: _isolation,
      ...own
    } = options;
    if (!checkers.has(checker)) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `No transaction checker is named "${checker}". Add @RocketMQTransactionChecker("${checker}") to a method.`,
      );
    }
    const headers = {
      ...own.headers,
      [TRANSACTION_CHECKER_HEADER]: checker,
      ...(checker === LOG_CHECKER && { [TRANSACTION_LOG_HEADER]: await identity() }),
    };
    const row = toUnplacedRow(destination, payload, { ...own, headers }, defaults);
    const { topic, tag, keys, body, messageId } = row;
    const message: Message = { topic, tag, keys, headers, body, messageId };
    return { row, message };
  }

  private canFallBack({ whenBrokerAway, checker }: TransactionSendOptions, error: unknown): boolean {
    const { options, outbox } = this.deps;
    return (
      (whenBrokerAway ?? options.whenBrokerAway) === 'outbox' &&
      outbox !== undefined &&
      checker === undefined &&
      classifySendFailure(error) === 'away'
    );
  }

  /** The half message may be at the broker all the same: the log tells a later check to discard it. */
  private async throughOutbox<T>(
    row: UnplacedRow,
    work: (tx: EntityManager) => Promise<T>,
    options: TransactionSendOptions,
  ): Promise<TransactionResult<T>> {
    const { outbox } = this.deps;
    const { topic, tag, keys, headers, body, messageId } = row;
    const result = await this.localTransaction(
      row,
      async (tx) => {
        const value = await work(tx);
        await outbox?.send(tx, { topic, tag }, body, {
          messageId,
          serializer: AS_IS,
          ...(keys !== undefined && { keys }),
          ...(headers !== undefined && { headers }),
        });
        return value;
      },
      options,
      undefined,
    );
    return { result, messageId, via: 'outbox', receipt: undefined };
  }

  private async localTransaction<T>(
    { topic, messageId }: Pick<UnplacedRow, 'topic' | 'messageId'>,
    work: (tx: EntityManager) => Promise<T>,
    options: TransactionSendOptions,
    half: HalfMessage | undefined,
  ): Promise<T> {
    const { dataSource, producer, log, events, clock } = this.deps;
    const id = toKey128(messageId);
    const logged = options.checker === undefined;
    const startedAt = clock.monotonic();
    const ended = (outcome: RocketMQEventMap['transaction.ended']['outcome']): void =>
      events.emit('transaction.ended', {
        group: producer.group,
        topic,
        messageId,
        outcome,
        via: half === undefined ? 'outbox' : 'half-message',
        durationMs: clock.monotonic() - startedAt,
      });
    try {
      const result = await runInTransaction(
        dataSource,
        async (tx) => {
          if (logged) await this.begin(tx, id, half === undefined ? 'outboxed' : 'committed');
          return work(tx);
        },
        {
          isolation: options.isolation,
          ...(logged && { stillThere: ({ manager }) => log.has(manager, id) }),
        },
      );
      ended('committed');
      return result;
    } catch (error) {
      const unknown = error instanceof CommitOutcomeUnknownError;
      ended(unknown ? 'unknown' : 'rolled-back');
      // Nobody here knows the outcome; the check does.
      if (unknown) throw error;
      await half?.rollback().catch((failure: unknown) => {
        events.emit('transaction.error', { phase: 'rollback', error: failure });
      });
      throw error;
    }
  }

  private async begin(tx: EntityManager, id: string, outcome: 'committed' | 'outboxed'): Promise<void> {
    try {
      await this.deps.log.begin(tx, id, outcome);
    } catch (error) {
      if (sqlErrorKind(error) !== 'duplicate') throw error;
      throw new RocketMQError(
        'TRANSACTION_ROLLED_BACK',
        'The broker asked about this transaction before it began, and was told that it is rolled back. Call again; raise transactions.graceMs if this is frequent.',
        { retryable: true, cause: error },
      );
    }
  }
}

/** The body was serialized before. */
const AS_IS = {
  serialize: (body: unknown): Buffer => body as Buffer,
  deserialize: (body: Buffer): unknown => body,
};
