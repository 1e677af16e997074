import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { createRocketMQMigrations, type MigrationSettings } from '../migrations/index.js';
import { outboxEvent } from './outbox/status-column.js';
import { findMariadb, startMariadb } from '../scripts/stack/mariadb.js';
import { startPostgres } from '../scripts/stack/postgres.js';

export type DatabaseName = 'PostgreSQL' | 'MariaDB' | 'SQLite';

/** A database server to measure on. */
export interface BenchDatabase {
  readonly name: DatabaseName;
  /** A database of its own for one measurement, with this library's tables. */
  create(settings?: MigrationSettings): Promise<Schema>;
}

export interface Schema {
  readonly dataSource: DataSource;
  /** For other processes; undefined for SQLite. */
  readonly url: string | undefined;
  readonly type: 'postgres' | 'mariadb' | 'sqlite';
  /** A statement with `$1`, `$2` in order, in the dialect's own way. */
  readonly sql: (text: string) => string;
  drop(): Promise<void>;
}

/** Connections of an application, each a pool of its own. */
const POOL = 20;

export async function openDatabases(
  defer: (close: () => unknown) => void,
  progress: (line: string) => void,
): Promise<readonly BenchDatabase[]> {
  const databases: BenchDatabase[] = [];
  let postgres = process.env['DATABASE_URL'];
  if (postgres === undefined) {
    const server = await startPostgres({ name: 'bench', onProgress: progress });
    defer(() => server.stop());
    postgres = server.url;
  }
  databases.push(onServer('PostgreSQL', 'postgres', postgres));
  let mariadb = process.env['MARIADB_URL'];
  if (mariadb === undefined && findMariadb() !== undefined) {
    const server = await startMariadb({ onProgress: progress });
    defer(() => server.stop());
    mariadb = server.url;
  }
  if (mariadb !== undefined) databases.push(onServer('MariaDB', 'mariadb', mariadb));
  else progress('no MariaDB: install it, or set MARIADB_URL');
  databases.push({ name: 'SQLite', create: createSqlite });
  return databases;
}

let count = 0;

function onServer(name: DatabaseName, type: 'postgres' | 'mariadb', server: string): BenchDatabase {
  return {
    name,
    create: async (settings = {}) => {
      const database = `bench_${process.pid}_${++count}`;
      const admin = await new DataSource({ type, url: server }).initialize();
      await admin.query(`CREATE DATABASE ${database}`);
      const url = new URL(server);
      url.pathname = `/${database}`;
      const dataSource = await openDataSource(type, url.toString(), settings);
      await dataSource.runMigrations();
      return {
        dataSource,
        url: url.toString(),
        type,
        sql: (text) => (type === 'postgres' ? text : text.replaceAll(/\$\d+/g, '?')),
        drop: async () => {
          await dataSource.destroy();
          await admin.query(`DROP DATABASE ${database}${type === 'postgres' ? ' WITH (FORCE)' : ''}`);
          await admin.destroy();
        },
      };
    },
  };
}

/** Also in processes that are instances of their own. */
export function openDataSource(
  type: 'postgres' | 'mariadb',
  url: string,
  settings: MigrationSettings = {},
): Promise<DataSource> {
  const pool = type === 'postgres' ? { poolSize: POOL } : { poolSize: POOL, timezone: 'Z' };
  return new DataSource({
    type,
    url,
    entities: [outboxEvent],
    migrations: createRocketMQMigrations(settings),
    ...pool,
  } as DataSourceOptions).initialize();
}

async function createSqlite(settings: MigrationSettings = {}): Promise<Schema> {
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-bench-'));
  const dataSource = await new DataSource({
    type: 'better-sqlite3',
    driver: createRequire(import.meta.url)('libsql') as unknown,
    database: join(folder, 'bench.db'),
    enableWAL: true,
    entities: [outboxEvent],
    migrations: createRocketMQMigrations(settings),
  }).initialize();
  await dataSource.runMigrations();
  return {
    dataSource,
    url: undefined,
    type: 'sqlite',
    sql: (text) => text.replaceAll(/\$\d+/g, '?'),
    drop: async () => {
      await dataSource.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
