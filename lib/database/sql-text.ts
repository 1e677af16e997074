import type { SqlDialect } from './sql-dialect.js';

/** The few words the dialects have no common form for; for statements that are not on a hot path. */
export interface SqlWords {
  readonly now: string;
  /** A point in time, as epoch milliseconds. */
  readonly epochMs: (column: string) => string;
  /** From epoch milliseconds. */
  readonly fromEpochMs: (value: string) => string;
  /** Milliseconds ago. */
  readonly ago: (value: string) => string;
}

export const SQL_WORDS: Readonly<Record<SqlDialect, SqlWords>> = {
  postgres: {
    now: 'clock_timestamp()',
    epochMs: (column) => `extract(epoch FROM ${column}) * 1000`,
    fromEpochMs: (value) => `to_timestamp(${value}::float8 / 1000)`,
    ago: (value) => `clock_timestamp() - ${value} * interval '1 millisecond'`,
  },
  mysql: {
    now: 'UTC_TIMESTAMP(6)',
    epochMs: (column) => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) / 1000`,
    fromEpochMs: (value) => `TIMESTAMPADD(MICROSECOND, ${value} * 1000, '1970-01-01')`,
    ago: (value) => `UTC_TIMESTAMP(6) - INTERVAL (${value} * 1000) MICROSECOND`,
  },
  sqlite: {
    now: `CAST(unixepoch('subsec') * 1000 AS integer)`,
    epochMs: (column) => column,
    fromEpochMs: (value) => value,
    ago: (value) => `CAST(unixepoch('subsec') * 1000 AS integer) - ${value}`,
  },
};

/** Values of a statement, and the placeholders that stand for them. */
export class SqlParameters {
  readonly values: unknown[] = [];

  constructor(private readonly dialect: SqlDialect) {}

  /** The placeholder of a value. */
  add(value: unknown): string {
    this.values.push(value);
    return this.dialect === 'postgres' ? `$${this.values.length}` : '?';
  }

  /** `(…, …)` for IN; never empty, an empty list matches nothing. */
  list(values: readonly unknown[]): string {
    return values.length === 0 ? '(NULL)' : `(${values.map((value) => this.add(value)).join(', ')})`;
  }
}
