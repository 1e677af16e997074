import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { systemClock, type Clock } from '../client/clock.js';
import type { Producer } from '../client/producer.js';
import { LeaseJob } from '../database/lease-job.js';
import { MessageIdGenerator } from '../database/message-id.js';
import { sqlDialect, type SqlDialect } from '../database/sql-dialect.js';
import { sqlJobLease } from '../database/sql-job-lease.js';
import type { MessageHeaders } from '../message/message.js';
import { jsonSerializer, type MessageSerializer } from '../message/message-serializer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { CreateOperation } from '../observability/instrumentation.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { Outbox } from '../outbox/outbox.js';
import { LogChecker } from './log-checker.js';
import { sqlLogIdentity } from './log-identity.js';
import { MysqlTransactionLog } from './mysql-transaction-log.js';
import { PostgresTransactionLog } from './postgres-transaction-log.js';
import { SqliteTransactionLog } from './sqlite-transaction-log.js';
import { LOG_CHECKER, TransactionCheckers } from './transaction-checkers.js';
import type { TransactionLog } from './transaction-log.js';
import { resolveTransactionOptions, type TransactionOptions } from './transaction-options.js';
import { TransactionRunner } from './transaction-runner.js';
import { Transactions } from './transactions.js';

export interface TransactionsDeps {
  readonly dataSource: DataSource;
  /** Its group answers the checks; this sets its transaction check. */
  readonly producer: Producer;
  readonly events: RocketMQEvents;
  readonly clock?: Clock;
  readonly serializer?: MessageSerializer;
  /** Largest body, bytes; equal to the producer's. @default 4194304 */
  readonly maxMessageSize?: number;
  /** Headers to add to every message, such as the trace context of the caller. Headers given in the call win. */
  readonly contextHeaders?: (message: CreateOperation) => MessageHeaders | undefined;
  /** For `whenBrokerAway: 'outbox'`. */
  readonly outbox?: Outbox;
  readonly options?: TransactionOptions;
  /** Instead of the log for the DataSource's dialect. */
  readonly log?: TransactionLog;
}

const SWEEP_BATCH = 5_000;

/**
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function createTransactions(deps: TransactionsDeps): Transactions {
  const { dataSource, producer, events, clock = systemClock, serializer = jsonSerializer, outbox } = deps;
  const options = resolveTransactionOptions(deps.options);
  if (options.whenBrokerAway === 'outbox' && outbox === undefined) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      "transactions.whenBrokerAway is 'outbox', but the outbox is switched off. Set the option outbox, or 'throw'.",
    );
  }
  const log = deps.log ?? new LOGS[sqlDialect(dataSource)](dataSource, options.tablePrefix);
  const checkers = new TransactionCheckers(producer.group, events, clock);
  const identity = sqlLogIdentity(dataSource, options.tablePrefix);
  const logChecker = new LogChecker(log, identity, options, clock);
  checkers.register(LOG_CHECKER, (message) => logChecker.check(message));
  const ids = new MessageIdGenerator(clock);
  const runner = new TransactionRunner({
    dataSource,
    producer,
    log,
    identity,
    checkers,
    events,
    clock,
    options,
    outbox,
    defaults: {
      serializer,
      maxMessageSize: deps.maxMessageSize,
      nextMessageId: () => ids.next(),
      contextHeaders: deps.contextHeaders,
    },
  });
  const sweeper = new LeaseJob({
    name: 'transaction-log-sweep',
    owner: randomUUID(),
    lease: sqlJobLease(dataSource, options.tablePrefix),
    clock,
    everyMs: options.sweepEveryMs,
    work: async (signal) => {
      while (!signal.aborted && (await log.sweep(options.retentionMs, SWEEP_BATCH)) === SWEEP_BATCH);
    },
    onError: (error) => events.emit('transaction.error', { phase: 'sweep', error }),
  });
  producer.setTransactionCheck(checkers.check);
  return new Transactions(dataSource, runner, checkers, sweeper, options);
}

const LOGS: Readonly<Record<SqlDialect, new (dataSource: DataSource, prefix: string) => TransactionLog>> = {
  postgres: PostgresTransactionLog,
  mysql: MysqlTransactionLog,
  sqlite: SqliteTransactionLog,
};
