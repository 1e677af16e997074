import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { sqlErrorKind } from '../database/sql-error.js';
import { runQuery } from '../database/sql-session.js';
import { OUTCOME_CODES, outcomeOf } from './outcome-codes.js';
import type { LocalOutcome, LogAnswer, TransactionLog } from './transaction-log.js';

/** PostgreSQL 12 and later; always the primary. */
export class PostgresTransactionLog implements TransactionLog {
  private readonly table: string;

  constructor(
    private readonly dataSource: DataSource,
    prefix: string,
  ) {
    this.table = `${prefix}transaction_log`;
  }

  async begin(tx: EntityManager, id: string, outcome: 'committed' | 'outboxed'): Promise<void> {
    await runQuery(runnerOf(tx), `INSERT INTO ${this.table} (id, outcome) VALUES ($1, $2)`, [
      id,
      OUTCOME_CODES[outcome],
    ]);
  }

  async has(tx: EntityManager, id: string): Promise<boolean> {
    const { rows } = await runQuery(runnerOf(tx), `SELECT 1 FROM ${this.table} WHERE id = $1`, [id]);
    return rows.length === 1;
  }

  async look(id: string): Promise<Exclude<LogAnswer, 'running'>> {
    return this.pooled(async (queryRunner) => (await this.read(queryRunner, id)) ?? 'absent');
  }

  async decide(id: string, waitMs: number): Promise<Exclude<LogAnswer, 'absent'>> {
    return this.pooled(async (queryRunner) => {
      try {
        const { rows } = await runQuery(
          queryRunner,
          `WITH setting AS MATERIALIZED (SELECT set_config('lock_timeout', $2, true))
           INSERT INTO ${this.table} (id, outcome) SELECT $1::uuid, 'R' FROM setting
           ON CONFLICT DO NOTHING RETURNING id`,
          [id, `${Math.max(1, Math.round(waitMs))}ms`],
        );
        if (rows.length === 1) return 'rolled-back';
      } catch (error) {
        if (sqlErrorKind(error) === 'lock-timeout') return 'running';
        throw error;
      }
      // A row that was there is not changed any more.
      return (await this.read(queryRunner, id)) ?? 'running';
    });
  }

  async sweep(retentionMs: number, limit: number): Promise<number> {
    return this.pooled(async (queryRunner) => {
      const { affected } = await runQuery(
        queryRunner,
        `DELETE FROM ${this.table} WHERE id IN (
           SELECT id FROM ${this.table} WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond'
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
        [retentionMs, limit],
      );
      return affected;
    });
  }

  private async read(queryRunner: QueryRunner, id: string): Promise<LocalOutcome | undefined> {
    const { rows } = await runQuery(queryRunner, `SELECT outcome FROM ${this.table} WHERE id = $1`, [id]);
    return outcomeOf(rows[0]?.['outcome']);
  }

  private async pooled<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
    const queryRunner = this.dataSource.createQueryRunner('master');
    try {
      return await work(queryRunner);
    } finally {
      await queryRunner.release();
    }
  }
}

function runnerOf({ queryRunner }: EntityManager): QueryRunner {
  if (!queryRunner) throw new TypeError('The manager has no query runner');
  return queryRunner;
}
