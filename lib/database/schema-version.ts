import type { DataSource } from 'typeorm';
import { RocketMQError } from '../message/rocketmq-error.js';
import { databaseFailure, sqlErrorKind } from './sql-error.js';

/** What a feature needs of its tables. */
export interface SchemaRequirement {
  readonly feature: 'outbox' | 'inbox' | 'transaction-log';
  /** The oldest version of the tables this release works with, and its own place among the releases. */
  readonly version: number;
}

/**
 * Compares the tables in the database with what this release needs. Tables may be newer: migrations only add,
 * and record the oldest release that still works with them.
 *
 * @throws RocketMQError `SCHEMA_MISMATCH`, or `DATABASE_FAILED` when the database cannot be asked
 */
export async function checkSchemaVersion(
  dataSource: DataSource,
  prefix: string,
  { feature, version }: SchemaRequirement,
): Promise<void> {
  let rows: { version: unknown; compatible_from: unknown }[];
  try {
    rows = await dataSource.query(
      `SELECT version, compatible_from FROM ${prefix}schema WHERE feature = '${feature}'`,
    );
  } catch (error) {
    if (sqlErrorKind(error) === 'missing-table') throw missing(feature, prefix, error);
    throw databaseFailure(error, `the tables of "${feature}" were checked`);
  }
  const row = rows[0];
  if (row === undefined) throw missing(feature, prefix);
  const found = Number(row.version);
  if (found < version) {
    throw new RocketMQError(
      'SCHEMA_MISMATCH',
      `The tables of "${feature}" have version ${found}; this release needs ${version}. Run the migrations of nestjs-rocketmq/migrations.`,
    );
  }
  if (Number(row.compatible_from) > version) {
    throw new RocketMQError(
      'SCHEMA_MISMATCH',
      `The tables of "${feature}" have version ${found}, which no longer works with this release (${version}). Upgrade nestjs-rocketmq.`,
    );
  }
}

function missing(feature: string, prefix: string, cause?: unknown): RocketMQError {
  return new RocketMQError(
    'SCHEMA_MISMATCH',
    `The tables of "${feature}" (prefix "${prefix}") do not exist. Add rocketmqMigrations (nestjs-rocketmq/migrations) to the DataSource and run the migrations.`,
    { cause },
  );
}
