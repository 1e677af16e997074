import type { DataSource } from 'typeorm';
import type { JobLease } from './lease-job.js';
import { sqlDialect, type SqlDialect } from './sql-dialect.js';
import { pooled } from './pooled.js';
import type { SqlExecutor } from './sql-session.js';

type Acquire = (connection: SqlExecutor, name: string, owner: string, ms: number) => Promise<boolean>;

/** Leases in the table every feature shares, by the database's clock. */
export function sqlJobLease(dataSource: DataSource, prefix: string): JobLease {
  const acquire = ACQUIRE[sqlDialect(dataSource)](`${prefix}lease`);
  return {
    acquire: (name, owner, ms) => pooled(dataSource, (connection) => acquire(connection, name, owner, ms)),
  };
}

const ACQUIRE: Readonly<Record<SqlDialect, (table: string) => Acquire>> = {
  postgres: (table) => async (connection, name, owner, ms) => {
    const { affected } = await connection.query(
      `INSERT INTO ${table} AS l (name, owner, expires_at)
       VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
       ON CONFLICT (name) DO UPDATE SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at
       WHERE l.expires_at < clock_timestamp() OR l.owner = EXCLUDED.owner`,
      [name, owner, ms],
    );
    return affected > 0;
  },
  // The number of rows an upsert reports does not tell "inserted" from "left alone" with this driver's defaults.
  mysql: (table) => async (connection, name, owner, ms) => {
    const until = 'UTC_TIMESTAMP(6) + INTERVAL (? * 1000) MICROSECOND';
    const inserted = await connection.query(
      `INSERT IGNORE INTO ${table} (name, owner, expires_at) VALUES (?, ?, ${until})`,
      [name, owner, ms],
    );
    if (inserted.affected > 0) return true;
    const { affected } = await connection.query(
      `UPDATE ${table} SET owner = ?, expires_at = ${until}
       WHERE name = ? AND (expires_at < UTC_TIMESTAMP(6) OR owner = ?)`,
      [owner, ms, name, owner],
    );
    return affected > 0;
  },
  sqlite: (table) => async (connection, name, owner, ms) => {
    const now = `CAST(unixepoch('subsec') * 1000 AS integer)`;
    const { affected } = await connection.query(
      `INSERT INTO ${table} (name, owner, expires_at) VALUES (?, ?, ${now} + ?)
       ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
       WHERE expires_at < ${now} OR owner = excluded.owner`,
      [name, owner, ms],
    );
    return affected > 0;
  },
};
