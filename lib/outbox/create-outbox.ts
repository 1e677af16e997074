import type { DataSource } from 'typeorm';
import { systemClock, type Clock } from '../client/clock.js';
import type { Producer } from '../client/producer.js';
import { MessageIdGenerator } from '../database/message-id.js';
import { dataSourceTransactionHost, type TransactionHost } from '../database/transaction-host.js';
import { sqlDialect } from '../database/sql-dialect.js';
import { sqlJobLease } from '../database/sql-job-lease.js';
import { SqlSession } from '../database/sql-session.js';
import { watch } from '../database/transaction-journal.js';
import type { MessageHeaders } from '../message/message.js';
import { jsonSerializer, type MessageSerializer } from '../message/message-serializer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { CreateOperation } from '../observability/instrumentation.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { checkOutbox } from './check-outbox.js';
import { MysqlOutboxStore } from './mysql-outbox-store.js';
import { resolveOutboxOptions, type OutboxOptions } from './outbox-options.js';
import { OutboxMetrics } from './outbox-metrics.js';
import { OutboxRelay } from './outbox-relay.js';
import type { OutboxStore } from './outbox-store.js';
import { Outbox } from './outbox.js';
import { ParkedMessages } from './parked-messages.js';
import { PostgresOutboxStore } from './postgres-outbox-store.js';
import { SqliteOutboxStore } from './sqlite-outbox-store.js';

export interface OutboxFeatureDeps {
  /** Initialized. Its options also say which dialect is spoken. */
  readonly dataSource: DataSource;
  /** The producer to send with, or one per named connection (undefined: the default connection). */
  readonly producer: Producer | ((connection: string | undefined) => Producer);
  readonly events: RocketMQEvents;
  readonly clock?: Clock;
  readonly serializer?: MessageSerializer;
  /** Largest body, bytes; equal to the producer's. @default 4194304 */
  readonly maxMessageSize?: number;
  /** Finds the transaction of `outbox.send(destination, payload)`. @default the DataSource's own manager */
  readonly transactionHost?: TransactionHost;
  /**
   * Headers to add to every message when it is written, such as the trace context of the caller. Headers given in
   * the call win.
   */
  readonly contextHeaders?: (message: CreateOperation) => MessageHeaders | undefined;
  readonly options?: OutboxOptions;
  /** Instead of the store for the DataSource's dialect. */
  readonly store?: OutboxStore;
}

/** Everything the outbox consists of, wired. */
export interface OutboxFeature {
  readonly outbox: Outbox;
  readonly relay: OutboxRelay;
  /** Messages the broker refused. */
  readonly parked: ParkedMessages;
  /** Numbers and health. */
  readonly metrics: OutboxMetrics;
  /**
   * Compares database and settings, at boot.
   * @throws RocketMQError `SCHEMA_MISMATCH`, `INVALID_CONFIGURATION`, `DATABASE_FAILED`
   */
  check(): Promise<void>;
}

/**
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function createOutbox(deps: OutboxFeatureDeps): OutboxFeature {
  const { dataSource, events, clock = systemClock, serializer = jsonSerializer, maxMessageSize } = deps;
  const options = resolveOutboxOptions(deps.options);
  const producer = typeof deps.producer === 'function' ? deps.producer : single(deps.producer);
  const store = deps.store ?? createOutboxStore(dataSource, options.tablePrefix);
  const lease = sqlJobLease(dataSource, options.tablePrefix);
  const relay = new OutboxRelay({ store, lease, producer, clock, events, options });
  const ids = new MessageIdGenerator(clock);
  watch(dataSource);
  const outbox = new Outbox({
    dataSource,
    store,
    relay,
    transactionHost: deps.transactionHost ?? dataSourceTransactionHost(dataSource),
    defaults: {
      serializer,
      maxMessageSize,
      nextMessageId: () => ids.next(),
      contextHeaders: deps.contextHeaders,
      // Where rows are only written, somebody else's connections count.
      checkConnection: options.relay ? (name) => void producer(name) : undefined,
    },
    ordering: options.ordering,
  });
  return {
    outbox,
    relay,
    parked: new ParkedMessages(dataSource, options.tablePrefix, options.behindDead, events),
    metrics: new OutboxMetrics(dataSource, relay, options),
    check: () => checkOutbox(dataSource, store, options),
  };
}

/** The tables, in the dialect of the DataSource. @internal */
export function createOutboxStore(dataSource: DataSource, prefix: string): OutboxStore {
  const dialect = sqlDialect(dataSource);
  if (dialect === 'sqlite') return new SqliteOutboxStore(dataSource, prefix);
  const session = new SqlSession(dataSource, dialect);
  return dialect === 'postgres'
    ? new PostgresOutboxStore(session, prefix)
    : new MysqlOutboxStore(session, prefix);
}

function single(producer: Producer): (connection: string | undefined) => Producer {
  return (connection) => {
    if (connection === undefined) return producer;
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `A row names connection "${connection}", but this outbox has one producer. Configure the connection, or leave the name out.`,
    );
  };
}
