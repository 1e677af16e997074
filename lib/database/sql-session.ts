import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { sqlErrorKind } from './sql-error.js';
import type { SqlDialect } from './sql-dialect.js';

export interface SqlResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly affected: number;
  /** Of an INSERT on MySQL and MariaDB: the first id that was given out. */
  readonly insertId?: number | undefined;
}

export interface SqlExecutor {
  query(sql: string, parameters?: readonly unknown[]): Promise<SqlResult>;
}

/**
 * One connection for background work, taken from the DataSource's pool when first needed and kept: a pool that
 * requests have used up cannot stop the relay from renewing its lanes. Always the primary, READ COMMITTED, one
 * statement at a time. A connection that broke is replaced at the next statement.
 */
export class SqlSession implements SqlExecutor {
  private queryRunner: QueryRunner | undefined;
  private tail: Promise<unknown> = Promise.resolve();
  private closed = false;
  private restore = '';

  constructor(
    private readonly dataSource: DataSource,
    private readonly dialect: SqlDialect,
  ) {}

  /** Statements in somebody's transaction; without one, on this connection. */
  in(tx: EntityManager | undefined): SqlExecutor {
    const queryRunner = tx?.queryRunner;
    if (queryRunner === undefined || queryRunner === null) return this;
    return { query: (sql, parameters = []) => runQuery(queryRunner, sql, parameters) };
  }

  query(sql: string, parameters: readonly unknown[] = []): Promise<SqlResult> {
    return this.exclusive((queryRunner) => runQuery(queryRunner, sql, parameters));
  }

  /** Several statements, all or nothing. A conflict is not repeated here. */
  transaction<T>(work: (tx: SqlExecutor) => Promise<T>): Promise<T> {
    return this.exclusive(async (queryRunner) => {
      await queryRunner.startTransaction();
      try {
        const result = await work({
          query: (sql, parameters = []) => runQuery(queryRunner, sql, parameters),
        });
        await queryRunner.commitTransaction();
        return result;
      } catch (error) {
        await queryRunner.rollbackTransaction().catch(() => this.discard());
        throw error;
      }
    });
  }

  /** Gives the connection back. Statements waiting are refused. */
  async close(): Promise<void> {
    this.closed = true;
    await this.tail.catch(() => undefined);
    await this.queryRunner?.query(this.restore).catch(() => undefined);
    await this.discard();
  }

  private exclusive<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
    const turn = this.tail.then(async () => {
      const queryRunner = await this.connected();
      try {
        return await work(queryRunner);
      } catch (error) {
        if (sqlErrorKind(error) === 'connection' || queryRunner.isReleased) await this.discard();
        throw error;
      }
    });
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  private async connected(): Promise<QueryRunner> {
    if (this.closed) throw new Error('Connection terminated: the session was closed.');
    if (this.queryRunner !== undefined && !this.queryRunner.isReleased) return this.queryRunner;
    const queryRunner = this.dataSource.createQueryRunner('master');
    try {
      await queryRunner.connect();
      this.restore = await readCommitted(queryRunner, this.dialect);
    } catch (error) {
      await queryRunner.release().catch(() => undefined);
      throw error;
    }
    this.queryRunner = queryRunner;
    return queryRunner;
  }

  private async discard(): Promise<void> {
    const { queryRunner } = this;
    this.queryRunner = undefined;
    await queryRunner?.release().catch(() => undefined);
  }
}

/** Sets the session's isolation level; resolves with the statement that sets it back for the next user. */
async function readCommitted(queryRunner: QueryRunner, dialect: SqlDialect): Promise<string> {
  if (dialect === 'postgres') {
    await queryRunner.query('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return 'RESET default_transaction_isolation';
  }
  // The variable's name differs between MySQL, MariaDB, and their versions.
  const { rows } = await runQuery(
    queryRunner,
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",
    [],
  );
  const before = rows[0]?.['Value'];
  await queryRunner.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  const level = typeof before === 'string' ? before.replaceAll('-', ' ') : 'REPEATABLE READ';
  return `SET SESSION TRANSACTION ISOLATION LEVEL ${level}`;
}

/** A raw statement on a query runner, with the same answer from every driver. */
export async function runQuery(
  queryRunner: QueryRunner,
  sql: string,
  parameters: readonly unknown[],
): Promise<SqlResult> {
  const result = await queryRunner.query(sql, parameters as unknown[], true);
  const { insertId } = (result.raw ?? {}) as { readonly insertId?: unknown };
  return {
    rows: (result.records ?? []) as SqlResult['rows'],
    affected: result.affected ?? 0,
    insertId: insertId === undefined ? undefined : Number(insertId),
  };
}
