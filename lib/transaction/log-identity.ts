import { randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { pooled } from '../database/pooled.js';
import { sqlDialect, type SqlDialect } from '../database/sql-dialect.js';
import { textOrUndefined } from '../outbox/row-columns.js';

/** Header of a half message that names the transaction log its local transaction writes to. */
export const TRANSACTION_LOG_HEADER = 'rmq-transaction-log';

/** Its row in the table of leases: one that never ends. */
const NAME = 'transaction-log';

/**
 * Tells the transaction logs of different databases apart. The broker asks any member of a producer group: where two
 * applications share one, a log that has never heard of a transaction must not take that for a rollback.
 */
export type LogIdentity = () => Promise<string>;

/** The identity that the database keeps, given by whichever instance asks first. */
export function sqlLogIdentity(dataSource: DataSource, prefix: string): LogIdentity {
  const sql = STATEMENTS[sqlDialect(dataSource)](`${prefix}lease`);
  const read = (): Promise<string> =>
    pooled(dataSource, async (connection) => {
      const look = async (): Promise<string | undefined> =>
        textOrUndefined((await connection.query(sql.look, [NAME])).rows[0]?.['owner']);
      const known = await look();
      if (known !== undefined) return known;
      const given = randomBytes(8).toString('hex');
      await connection.query(sql.give, [NAME, given]);
      // Another instance may have been faster.
      return (await look()) ?? given;
    });
  let identity: Promise<string> | undefined;
  return () => {
    identity ??= read().catch((error: unknown) => {
      identity = undefined;
      throw error;
    });
    return identity;
  };
}

interface Statements {
  readonly look: string;
  /** Leaves alone what is there. */
  readonly give: string;
}

const STATEMENTS: Readonly<Record<SqlDialect, (table: string) => Statements>> = {
  postgres: (table) => ({
    look: `SELECT owner FROM ${table} WHERE name = $1`,
    give: `INSERT INTO ${table} (name, owner, expires_at) VALUES ($1, $2, 'infinity') ON CONFLICT DO NOTHING`,
  }),
  mysql: (table) => ({
    look: `SELECT owner FROM ${table} WHERE name = ?`,
    give: `INSERT IGNORE INTO ${table} (name, owner, expires_at) VALUES (?, ?, '9999-12-31')`,
  }),
  sqlite: (table) => ({
    look: `SELECT owner FROM ${table} WHERE name = ?`,
    give: `INSERT INTO ${table} (name, owner, expires_at) VALUES (?, ?, ${Number.MAX_SAFE_INTEGER}) ON CONFLICT DO NOTHING`,
  }),
};
