import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { createRocketMQMigrations, type MigrationSettings } from '../../migrations/index.js';
import { uniqueName } from './names.js';

export type DatabaseName = 'postgres' | 'mariadb' | 'sqlite';

/** A database of its own for one spec, with the tables of this library. */
export interface TestDatabase {
  readonly name: DatabaseName;
  readonly dataSource: DataSource;
  /** Another application on the same database. Not for SQLite, which has one process. */
  connect(options?: Partial<DataSourceOptions>): Promise<DataSource>;
  drop(): Promise<void>;
}

/** PostgreSQL of the test run; see DATABASE_URL. */
export function postgresUrl(): string {
  const value = process.env['DATABASE_URL'];
  if (!value) throw new Error('DATABASE_URL is not set. Start PostgreSQL and set it, or run npm test.');
  return value;
}

/** MariaDB of the test run, `mariadb://user:password@host:port/`, where there is one. */
export function mariadbUrl(): string | undefined {
  return process.env['MARIADB_URL'] || undefined;
}

/** Databases the behaviour suites run on: PostgreSQL and SQLite always, MariaDB where the run provides it. */
export function databaseNames(): DatabaseName[] {
  return ['postgres', 'sqlite', ...(mariadbUrl() === undefined ? [] : (['mariadb'] as const))];
}

export function createDatabase(name: DatabaseName, settings: MigrationSettings = {}): Promise<TestDatabase> {
  if (name === 'sqlite') return createSqlite(settings);
  return createServerDatabase(name, settings);
}

async function createServerDatabase(
  name: 'postgres' | 'mariadb',
  settings: MigrationSettings,
): Promise<TestDatabase> {
  const server = name === 'postgres' ? postgresUrl() : (mariadbUrl() ?? '');
  const database = uniqueName('rmq').replace('-', '_');
  const admin = await new DataSource({ type: name, url: server }).initialize();
  await admin.query(`CREATE DATABASE ${database}`);
  const url = new URL(server);
  url.pathname = `/${database}`;
  const opened: DataSource[] = [];
  const connect = async (options: Partial<DataSourceOptions> = {}): Promise<DataSource> => {
    const dataSource = new DataSource({
      type: name,
      url: url.toString(),
      migrations: createRocketMQMigrations(settings),
      ...options,
    } as DataSourceOptions);
    await dataSource.initialize();
    opened.push(dataSource);
    return dataSource;
  };
  const dataSource = await connect();
  await dataSource.runMigrations();
  return {
    name,
    dataSource,
    connect,
    drop: async () => {
      for (const each of opened) if (each.isInitialized) await each.destroy();
      await admin.query(`DROP DATABASE ${database}${name === 'postgres' ? ' WITH (FORCE)' : ''}`);
      await admin.destroy();
    },
  };
}

async function createSqlite(settings: MigrationSettings): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'rmq-sqlite-'));
  const dataSource = new DataSource({
    type: 'better-sqlite3',
    driver: createRequire(import.meta.url)('libsql') as unknown,
    database: join(folder, 'test.db'),
    enableWAL: true,
    migrations: createRocketMQMigrations(settings),
  });
  await dataSource.initialize();
  await dataSource.runMigrations();
  return {
    name: 'sqlite',
    dataSource,
    connect: () => Promise.reject(new Error('SQLite is for one process and one DataSource')),
    drop: async () => {
      await dataSource.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
