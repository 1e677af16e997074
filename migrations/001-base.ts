import { recordVersion, type MigrationDefinition, type MigrationDialect } from './define-migration.js';

/**
 * Tables every feature needs: which versions are installed, and which instance does the jobs that only one may do.
 */
export const base: MigrationDefinition = {
  name: 'RocketMQBase1764000000001',
  file: '001-base.sql',
  up: (dialect, { tablePrefix }) => [
    ...TABLES[dialect](tablePrefix),
    recordVersion(tablePrefix, 'base', 1, 1),
  ],
  down: (_dialect, { tablePrefix }) => [`DROP TABLE ${tablePrefix}lease`, `DROP TABLE ${tablePrefix}schema`],
};

const TABLES: Readonly<Record<MigrationDialect, (prefix: string) => readonly string[]>> = {
  postgres: (p) => [
    `CREATE TABLE ${p}schema (
  feature varchar(32) PRIMARY KEY,
  version integer NOT NULL,
  compatible_from integer NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
    `CREATE TABLE ${p}lease (
  name varchar(64) PRIMARY KEY,
  owner varchar(64) NOT NULL,
  expires_at timestamptz NOT NULL
)`,
  ],
  mysql: (p) => [
    `CREATE TABLE ${p}schema (
  feature varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version int NOT NULL,
  compatible_from int NOT NULL,
  changed_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB`,
    `CREATE TABLE ${p}lease (
  name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  owner varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expires_at datetime(6) NOT NULL
) ENGINE=InnoDB`,
  ],
  sqlite: (p) => [
    `CREATE TABLE ${p}schema (
  feature text NOT NULL PRIMARY KEY,
  version integer NOT NULL,
  compatible_from integer NOT NULL,
  changed_at integer NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS integer))
)`,
    `CREATE TABLE ${p}lease (
  name text NOT NULL PRIMARY KEY,
  owner text NOT NULL,
  expires_at integer NOT NULL
)`,
  ],
};
