import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Databases the tables exist for. `mysql` means MySQL 8 and MariaDB 10.6 or later. */
export type MigrationDialect = 'postgres' | 'mysql' | 'sqlite';

/** What a set of migrations may be told. */
export interface MigrationSettings {
  /** Put before every table name; may name a schema: `messaging.rmq_`. @default 'rmq_' */
  readonly tablePrefix?: string;
  /**
   * Lanes of the outbox: the upper bound of instances that can send at the same time. Written once, it decides
   * where the rows of an ordering key are, so it cannot be changed while rows are pending. 1 to 1024. @default 64
   */
  readonly lanes?: number;
}

/**
 * What a migration does, as plain statements. Immutable once released: a change is a new migration, which raises the
 * version and only adds (columns that may be empty or have a default, indexes, tables), so that instances of the
 * release before go on working. They carry over the columns they know when they put a row aside and bring it back:
 * a row must be right without the new ones.
 */
export interface MigrationDefinition {
  /** Ends with the 13 digits TypeORM sorts by. */
  readonly name: string;
  /** Name of the plain SQL file of each dialect, without folder. */
  readonly file: string;
  up(dialect: MigrationDialect, settings: Required<MigrationSettings>): readonly string[];
  down(dialect: MigrationDialect, settings: Required<MigrationSettings>): readonly string[];
}

/** A migration as TypeORM takes it. */
export type MigrationClass = new () => MigrationInterface;

const DEFAULTS: Required<MigrationSettings> = { tablePrefix: 'rmq_', lanes: 64 };

export function withDefaults(settings: MigrationSettings = {}): Required<MigrationSettings> {
  const { tablePrefix = DEFAULTS.tablePrefix, lanes = DEFAULTS.lanes } = settings;
  if (!/^([A-Za-z_]\w*\.)?[A-Za-z_]\w*$/.test(tablePrefix)) {
    throw new TypeError(
      `Table prefix "${tablePrefix}" is not a plain name. Use letters, digits and "_", with a schema before a "." if needed.`,
    );
  }
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > 1_024) {
    throw new TypeError(`${lanes} lanes are not possible. Choose 1 to 1024.`);
  }
  return { tablePrefix, lanes };
}

/** Makes the class TypeORM runs. */
export function toMigrationClass(
  definition: MigrationDefinition,
  settings: Required<MigrationSettings>,
): MigrationClass {
  class RocketMQMigration implements MigrationInterface {
    /** TypeORM stores this name and sorts by its last 13 digits. */
    readonly name = definition.name;

    async up(queryRunner: QueryRunner): Promise<void> {
      for (const statement of definition.up(dialectOf(queryRunner), settings)) {
        await queryRunner.query(statement);
      }
    }

    async down(queryRunner: QueryRunner): Promise<void> {
      for (const statement of definition.down(dialectOf(queryRunner), settings)) {
        await queryRunner.query(statement);
      }
    }
  }
  Object.defineProperty(RocketMQMigration, 'name', { value: definition.name });
  return RocketMQMigration;
}

function dialectOf(queryRunner: QueryRunner): MigrationDialect {
  const { type } = queryRunner.manager.dataSource.options;
  if (type === 'postgres') return 'postgres';
  if (type === 'mysql' || type === 'mariadb') return 'mysql';
  if (type === 'better-sqlite3') return 'sqlite';
  throw new TypeError(
    `There are no RocketMQ tables for "${type}". Use PostgreSQL, MySQL 8, MariaDB 10.6+ or SQLite (better-sqlite3).`,
  );
}

/** One row of the table that says which tables exist, and which applications can work with them. */
export function recordVersion(
  prefix: string,
  feature: string,
  version: number,
  compatibleFrom: number,
): string {
  return `INSERT INTO ${prefix}schema (feature, version, compatible_from) VALUES ('${feature}', ${version}, ${compatibleFrom})`;
}
