import type { DataSource, EntityManager } from 'typeorm';
import { sqlDialect } from './sql-dialect.js';
import { runQuery, type SqlExecutor } from './sql-session.js';
import { sqliteGate } from './sqlite-gate.js';

/**
 * Runs statements on a connection of the pool, always the primary, outside any transaction of the application.
 */
export async function pooled<T>(
  dataSource: DataSource,
  work: (executor: SqlExecutor) => Promise<T>,
): Promise<T> {
  if (sqlDialect(dataSource) === 'sqlite') {
    return sqliteGate(dataSource).run((queryRunner) =>
      work({ query: (sql, parameters = []) => runQuery(queryRunner, sql, parameters) }),
    );
  }
  const queryRunner = dataSource.createQueryRunner('master');
  try {
    return await work({ query: (sql, parameters = []) => runQuery(queryRunner, sql, parameters) });
  } finally {
    await queryRunner.release();
  }
}

/** Statements in the transaction of a manager. */
export function within({ queryRunner }: EntityManager): SqlExecutor {
  if (!queryRunner) throw new TypeError('The manager has no query runner');
  return { query: (sql, parameters = []) => runQuery(queryRunner, sql, parameters) };
}
