import { recordVersion, type MigrationDefinition, type MigrationDialect } from './define-migration.js';

/**
 * Tables of the idempotent consumer: one row per consumer group and message that had its effect. Groups have a
 * number here, so that a row of the large table stays small. `epoch` fences leases, and tells the rows of one statement
 * from others where the database has no RETURNING.
 */
export const inbox: MigrationDefinition = {
  name: 'RocketMQInbox1764000000003',
  file: '003-inbox.sql',
  up: (dialect, { tablePrefix }) => [
    ...TABLES[dialect](tablePrefix),
    recordVersion(tablePrefix, 'inbox', 1, 1),
  ],
  down: (_dialect, { tablePrefix }) => [
    `DROP TABLE ${tablePrefix}inbox`,
    `DROP TABLE ${tablePrefix}inbox_group`,
    `DELETE FROM ${tablePrefix}schema WHERE feature = 'inbox'`,
  ],
};

const TABLES: Readonly<Record<MigrationDialect, (prefix: string) => readonly string[]>> = {
  postgres: (p) => [
    `CREATE TABLE ${p}inbox_group (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(255) NOT NULL UNIQUE
)`,
    `CREATE TABLE ${p}inbox (
  group_id integer NOT NULL,
  message_key uuid NOT NULL,
  lease_until timestamptz,
  epoch bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, message_key)
)`,
    `CREATE INDEX ${p.slice(p.indexOf('.') + 1)}inbox_created_at ON ${p}inbox (created_at)`,
  ],
  mysql: (p) => [
    `CREATE TABLE ${p}inbox_group (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  UNIQUE KEY by_name (name)
) ENGINE=InnoDB`,
    `CREATE TABLE ${p}inbox (
  group_id int NOT NULL,
  message_key binary(16) NOT NULL,
  lease_until datetime(6),
  epoch bigint NOT NULL DEFAULT 0,
  created_at datetime(6) NOT NULL,
  PRIMARY KEY (group_id, message_key),
  KEY by_created_at (created_at)
) ENGINE=InnoDB`,
  ],
  sqlite: (p) => [
    `CREATE TABLE ${p}inbox_group (
  id integer PRIMARY KEY,
  name text NOT NULL UNIQUE
)`,
    `CREATE TABLE ${p}inbox (
  group_id integer NOT NULL,
  message_key blob NOT NULL,
  lease_until integer,
  epoch integer NOT NULL DEFAULT 0,
  created_at integer NOT NULL,
  PRIMARY KEY (group_id, message_key)
) WITHOUT ROWID`,
    `CREATE INDEX ${p}inbox_created_at ON ${p}inbox (created_at)`,
  ],
};
