import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { systemClock, type Clock } from '../client/clock.js';
import { sqlJobLease } from '../database/sql-job-lease.js';
import { sqlDialect, type SqlDialect } from '../database/sql-dialect.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { Idempotency } from './idempotency.js';
import { resolveIdempotencyOptions, type IdempotencyOptions } from './idempotency-options.js';
import type { InboxStore } from './inbox-store.js';
import { MysqlInboxStore } from './mysql-inbox-store.js';
import { PostgresInboxStore } from './postgres-inbox-store.js';
import { SqliteInboxStore } from './sqlite-inbox-store.js';

export interface IdempotencyFeatureDeps {
  readonly dataSource: DataSource;
  readonly events: RocketMQEvents;
  readonly clock?: Clock;
  readonly options?: IdempotencyOptions;
  /** Instead of the store for the DataSource's dialect. */
  readonly store?: InboxStore;
}

/**
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function createIdempotency(deps: IdempotencyFeatureDeps): Idempotency {
  const { dataSource, events, clock = systemClock } = deps;
  const options = resolveIdempotencyOptions(deps.options);
  return new Idempotency({
    dataSource,
    store: deps.store ?? new STORES[sqlDialect(dataSource)](dataSource, options.tablePrefix),
    lease: sqlJobLease(dataSource, options.tablePrefix),
    clock,
    events,
    options,
    instance: randomUUID(),
  });
}

const STORES: Readonly<Record<SqlDialect, new (dataSource: DataSource, prefix: string) => InboxStore>> = {
  postgres: PostgresInboxStore,
  mysql: MysqlInboxStore,
  sqlite: SqliteInboxStore,
};
