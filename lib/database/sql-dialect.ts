import type { DataSource } from 'typeorm';
import { RocketMQError } from '../message/rocketmq-error.js';

/** Families of SQL this library speaks. `mysql` means MySQL 8 and MariaDB 10.6 or later. */
export type SqlDialect = 'postgres' | 'mysql' | 'sqlite';

const DIALECTS: Readonly<Record<string, SqlDialect>> = {
  postgres: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  'better-sqlite3': 'sqlite',
};

/**
 * @throws RocketMQError `INVALID_CONFIGURATION` for a database this library has no SQL for
 */
export function sqlDialect(dataSource: DataSource): SqlDialect {
  const { type } = dataSource.options;
  const dialect = DIALECTS[type];
  if (dialect === undefined) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `The DataSource is of type "${type}". Use postgres, mysql, mariadb or better-sqlite3 for outbox, idempotency and transactional messages.`,
    );
  }
  return dialect;
}

/**
 * A prefix for table names; may name a schema, `messaging.rmq_`.
 *
 * @throws RocketMQError `INVALID_CONFIGURATION`
 */
export function checkTablePrefix(prefix: string): string {
  if (!/^([A-Za-z_]\w*\.)?[A-Za-z_]\w*$/.test(prefix)) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `Table prefix "${prefix}" is not a plain name. Use letters, digits and "_", with a schema before a "." if needed, and the same prefix as in the migrations.`,
    );
  }
  return prefix;
}

/** Put before the names of this library's tables. */
export const DEFAULT_TABLE_PREFIX = 'rmq_';
