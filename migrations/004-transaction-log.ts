import { recordVersion, type MigrationDefinition, type MigrationDialect } from './define-migration.js';

/**
 * The log that answers the broker's question about a half message. `outcome`: `C` committed, `R` rolled back (the
 * tombstone a check leaves), `O` committed, but the message went through the outbox.
 */
export const transactionLog: MigrationDefinition = {
  name: 'RocketMQTransactionLog1764000000004',
  file: '004-transaction-log.sql',
  up: (dialect, { tablePrefix }) => [
    ...TABLES[dialect](tablePrefix),
    recordVersion(tablePrefix, 'transaction-log', 1, 1),
  ],
  down: (_dialect, { tablePrefix }) => [
    `DROP TABLE ${tablePrefix}transaction_log`,
    `DELETE FROM ${tablePrefix}schema WHERE feature = 'transaction-log'`,
  ],
};

const TABLES: Readonly<Record<MigrationDialect, (prefix: string) => readonly string[]>> = {
  postgres: (p) => [
    `CREATE TABLE ${p}transaction_log (
  id uuid PRIMARY KEY,
  outcome char(1) NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
    `CREATE INDEX ${p.slice(p.indexOf('.') + 1)}transaction_log_created_at ON ${p}transaction_log (created_at)`,
  ],
  mysql: (p) => [
    `CREATE TABLE ${p}transaction_log (
  id binary(16) NOT NULL PRIMARY KEY,
  outcome char(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at datetime(6) NOT NULL,
  KEY by_created_at (created_at)
) ENGINE=InnoDB`,
  ],
  sqlite: (p) => [
    `CREATE TABLE ${p}transaction_log (
  id blob NOT NULL PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at integer NOT NULL
) WITHOUT ROWID`,
    `CREATE INDEX ${p}transaction_log_created_at ON ${p}transaction_log (created_at)`,
  ],
};
