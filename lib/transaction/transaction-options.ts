import { checkTablePrefix, DEFAULT_TABLE_PREFIX } from '../database/sql-dialect.js';
import { RocketMQError } from '../message/rocketmq-error.js';

/** Settings of transactional messages. Times are milliseconds. */
export interface TransactionOptions {
  /** The same prefix as in the migrations; may name a schema, `messaging.rmq_`. @default 'rmq_' */
  readonly tablePrefix?: string;
  /**
   * When the half message cannot be sent: `throw`, before anything was done, or write the message to the outbox in
   * the same transaction. Needs the outbox. @default 'throw'
   */
  readonly whenBrokerAway?: 'throw' | 'outbox';
  /**
   * A check that finds nothing about a message younger than this is answered with "unknown": its transaction may
   * not have written its first row yet. @default 10000
   */
  readonly graceMs?: number;
  /** How long a check waits for the transaction it asks about; then the answer is "unknown". @default 500 */
  readonly checkWaitMs?: number;
  /** How long outcomes are remembered. Refused when a check could come later. @default 604800000 (7 days) */
  readonly retentionMs?: number;
  /** How often older ones are removed, by one instance at a time. @default 3600000 */
  readonly sweepEveryMs?: number;
  /** What the brokers are set to; the shortest retention follows from it. */
  readonly broker?: BrokerCheckSettings;
}

/** Settings in broker.conf that say how long a half message may be asked about. */
export interface BrokerCheckSettings {
  /** `transactionTimeOut`: the first check comes after this. @default 6000 */
  readonly transactionTimeOutMs?: number;
  /** `transactionCheckInterval`. @default 30000 */
  readonly checkIntervalMs?: number;
  /** `transactionCheckMax`. @default 15 */
  readonly checkMax?: number;
  /** `fileReservedTime`: until then an operator may have a half message checked again. @default 259200000 (72 h) */
  readonly fileReservedMs?: number;
}

export type ResolvedTransactionOptions = Required<Omit<TransactionOptions, 'broker'>> & {
  readonly broker: Required<BrokerCheckSettings>;
};

const DEFAULTS: Required<Omit<TransactionOptions, 'broker'>> = {
  tablePrefix: DEFAULT_TABLE_PREFIX,
  whenBrokerAway: 'throw',
  graceMs: 10_000,
  checkWaitMs: 500,
  retentionMs: 7 * 24 * 3_600_000,
  sweepEveryMs: 3_600_000,
};

/** Source: BrokerConfig and MessageStoreConfig. */
const BROKER_DEFAULTS: Required<BrokerCheckSettings> = {
  transactionTimeOutMs: 6_000,
  checkIntervalMs: 30_000,
  checkMax: 15,
  fileReservedMs: 72 * 3_600_000,
};

/** The latest moment after the half message at which a broker with these settings may still ask about it. */
export function lastPossibleCheckMs(broker: Required<BrokerCheckSettings>): number {
  const checks = broker.transactionTimeOutMs + broker.checkIntervalMs * broker.checkMax;
  // An operator may resume a message the broker has given up, as long as the broker keeps it.
  return Math.max(checks * 2, broker.fileReservedMs + checks);
}

/**
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function resolveTransactionOptions(given: TransactionOptions = {}): ResolvedTransactionOptions {
  const options = {
    ...DEFAULTS,
    ...withoutUndefined(given),
    broker: { ...BROKER_DEFAULTS, ...withoutUndefined(given.broker ?? {}) },
  } as ResolvedTransactionOptions;
  checkTablePrefix(options.tablePrefix);
  for (const name of ['graceMs', 'checkWaitMs', 'retentionMs', 'sweepEveryMs'] as const) {
    if (typeof options[name] !== 'number' || !(options[name] >= 1)) {
      throw invalid(`transactions.${name} is ${JSON.stringify(options[name])}. Give a number of at least 1.`);
    }
  }
  const shortest = lastPossibleCheckMs(options.broker);
  if (options.retentionMs < shortest) {
    throw invalid(
      `transactions.retentionMs is ${options.retentionMs}, but with these broker settings a check may come after ${shortest} ms, and a forgotten commit would be answered with a rollback. Make it at least ${shortest}, or state the brokers' settings in transactions.broker.`,
    );
  }
  return options;
}

function withoutUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function invalid(message: string): RocketMQError {
  return new RocketMQError('INVALID_CONFIGURATION', message);
}
