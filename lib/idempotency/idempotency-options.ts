import type { ReceivedMessage } from '../message/message.js';
import type { IsolationLevel } from '../database/own-transaction.js';
import { checkTablePrefix, DEFAULT_TABLE_PREFIX } from '../database/sql-dialect.js';
import { RocketMQError } from '../message/rocketmq-error.js';

/** Settings of all idempotent handlers. Times are milliseconds. */
export interface IdempotencyOptions {
  /** The same prefix as in the migrations; may name a schema, `messaging.rmq_`. @default 'rmq_' */
  readonly tablePrefix?: string;
  /**
   * How long a message is remembered. It must be longer than any redelivery may take: 16 retries last about five
   * hours, brokers keep messages for 72, and an operator may set a group back that far. @default 259200000 (72 h)
   */
  readonly retentionMs?: number;
  /** How often what is older is removed, by one instance at a time. @default 600000 */
  readonly sweepEveryMs?: number;
  /** Rows removed with one statement. @default 5000 */
  readonly sweepBatch?: number;
  /** How long a handler waits for another one that works on the same message at this moment. @default 5000 */
  readonly waitMs?: number;
  /** Delay of the next delivery when that was not enough, or when another instance holds the lease. @default 10000 */
  readonly busyRetryMs?: number;
  /** Lease mode: how long another instance stays away from a message whose handler died. @default 60000 */
  readonly leaseMs?: number;
  /**
   * Messages per second, over all groups, to be expected. Only for the warning at boot: the table holds this times
   * the retention.
   */
  readonly expectedPerSecond?: number;
}

/** Settings of one idempotent handler. */
export interface IdempotentOptions {
  /**
   * - `transaction`: the handler runs in a database transaction that also records the message: both or nothing.
   * - `lease`: the message is recorded before and after, for effects outside the database. The effect may happen
   *   twice if an instance dies between effect and record, or outlives its lease.
   * @default 'transaction'
   */
  readonly mode?: 'transaction' | 'lease';
  /**
   * What makes two messages the same. @default the producer's message id, equal for every delivery and resend
   */
  readonly key?: (message: ReceivedMessage, payload: unknown) => string;
  /** Lease mode, instead of the general setting. Renewed while the handler runs. Milliseconds. */
  readonly leaseMs?: number;
  /** Of the handler's transaction. @default the database's, READ COMMITTED on MySQL and MariaDB */
  readonly isolation?: IsolationLevel;
}

export type ResolvedIdempotencyOptions = Required<Omit<IdempotencyOptions, 'expectedPerSecond'>> &
  Pick<IdempotencyOptions, 'expectedPerSecond'>;

const DEFAULTS: Required<Omit<IdempotencyOptions, 'expectedPerSecond'>> = {
  tablePrefix: DEFAULT_TABLE_PREFIX,
  retentionMs: 72 * 3_600_000,
  sweepEveryMs: 600_000,
  sweepBatch: 5_000,
  waitMs: 5_000,
  busyRetryMs: 10_000,
  leaseMs: 60_000,
};

/**
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function resolveIdempotencyOptions(given: IdempotencyOptions = {}): ResolvedIdempotencyOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options = { ...DEFAULTS, ...defined } as ResolvedIdempotencyOptions;
  checkTablePrefix(options.tablePrefix);
  for (const name of [
    'retentionMs',
    'sweepEveryMs',
    'sweepBatch',
    'waitMs',
    'busyRetryMs',
    'leaseMs',
  ] as const) {
    if (typeof options[name] !== 'number' || !(options[name] >= 1)) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `idempotency.${name} is ${JSON.stringify(options[name])}. Give a number of at least 1.`,
      );
    }
  }
  return options;
}
