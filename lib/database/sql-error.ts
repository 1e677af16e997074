import { RocketMQError } from '../message/rocketmq-error.js';

/** What a driver reported, as far as this library acts on it. */
export type SqlErrorKind =
  /** A unique key exists already. */
  | 'duplicate'
  /** Waited as long as allowed for a lock somebody else holds. */
  | 'lock-timeout'
  /** Chosen as victim; the transaction is gone and may be run again. */
  | 'conflict'
  | 'missing-table'
  /** The connection is gone, or the server is going down; what was under way has an unknown outcome. */
  | 'connection'
  | 'other';

const POSTGRES: Readonly<Record<string, SqlErrorKind>> = {
  '23505': 'duplicate',
  '55P03': 'lock-timeout',
  '40001': 'conflict',
  '40P01': 'conflict',
  '42P01': 'missing-table',
  '3F000': 'missing-table',
  '57P01': 'connection',
  '57P02': 'connection',
  '57P03': 'connection',
  '53300': 'connection',
};

const MYSQL: Readonly<Record<number, SqlErrorKind>> = {
  1062: 'duplicate',
  1205: 'lock-timeout',
  1213: 'conflict',
  1020: 'conflict',
  1146: 'missing-table',
  1053: 'connection',
  1927: 'connection',
};

interface DriverError {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly message?: unknown;
  readonly sqlState?: unknown;
}

/** Sorts an error of TypeORM or of a driver underneath it. */
export function sqlErrorKind(error: unknown): SqlErrorKind {
  const driverError = underlying(error);
  if (driverError === undefined) return 'other';
  const { code, errno } = driverError;
  const message = typeof driverError.message === 'string' ? driverError.message : '';
  if (typeof code === 'string') {
    const known = POSTGRES[code];
    if (known !== undefined) return known;
    if (/^08...$/.test(code)) return 'connection';
    if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') return 'lock-timeout';
    if (code.startsWith('SQLITE_CONSTRAINT_UNIQUE') || code.startsWith('SQLITE_CONSTRAINT_PRIMARYKEY')) {
      return 'duplicate';
    }
    if (/^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EHOST|ENETUNREACH|EAI_|PROTOCOL_)/.test(code)) return 'connection';
  }
  if (typeof errno === 'number') {
    const known = MYSQL[errno];
    if (known !== undefined) return known;
  }
  if (/no such table/.test(message)) return 'missing-table';
  if (/UNIQUE constraint failed/.test(message)) return 'duplicate';
  if (
    /Connection terminated|connection is closed|closed state|Client has encountered a connection error|not queryable|timeout exceeded when trying to connect|Query read timeout|QueryRunner.*released/i.test(
      message,
    )
  ) {
    return 'connection';
  }
  return 'other';
}

/**
 * Whether the database itself said no to a statement, and goes on. Everything else (a broken stream, a driver that gave
 * up) tells nothing about what became of it.
 */
export function isRefusal(error: unknown): boolean {
  if (sqlErrorKind(error) === 'connection') return false;
  const { severity, sqlState, code } = (underlying(error) ?? {}) as DriverError & {
    readonly severity?: unknown;
  };
  // Only errors that a server sent have them: pg, mysql2. SQLite is not somewhere else.
  return (
    typeof severity === 'string' ||
    typeof sqlState === 'string' ||
    (typeof code === 'string' && code.startsWith('SQLITE_'))
  );
}

/** A failure of the database, in this library's own terms; other errors pass through. */
export function databaseFailure(error: unknown, doing: string): RocketMQError {
  if (error instanceof RocketMQError) return error;
  const kind = sqlErrorKind(error);
  const reason = error instanceof Error ? error.message : String(error);
  if (kind === 'missing-table') {
    return new RocketMQError(
      'SCHEMA_MISMATCH',
      `A table is missing while ${doing}: ${reason}. Add rocketmqMigrations (nestjs-rocketmq/migrations) to the DataSource and run the migrations.`,
      { cause: error },
    );
  }
  return new RocketMQError(
    'DATABASE_FAILED',
    `The database failed while ${doing}: ${reason}. ${kind === 'other' ? 'Look at the cause.' : 'Try again; look at the database if it persists.'}`,
    { cause: error, retryable: kind !== 'other' && kind !== 'duplicate' },
  );
}

function underlying(error: unknown): DriverError | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { driverError } = error as { driverError?: unknown };
  return typeof driverError === 'object' && driverError !== null ? driverError : (error as DriverError);
}
