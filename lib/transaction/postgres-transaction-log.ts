import type { DataSource, EntityManager } from 'typeorm';
import { pooled, within } from '../database/pooled.js';
import { sqlErrorKind } from '../database/sql-error.js';
import type { SqlExecutor } from '../database/sql-session.js';
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
    await within(tx).query(`INSERT INTO ${this.table} (id, outcome) VALUES ($1, $2)`, [
      id,
      OUTCOME_CODES[outcome],
    ]);
  }

  async has(tx: EntityManager, id: string): Promise<boolean> {
    const { rows } = await within(tx).query(`SELECT 1 FROM ${this.table} WHERE id = $1`, [id]);
    return rows.length === 1;
  }

  async look(id: string): Promise<Exclude<LogAnswer, 'running'>> {
    return pooled(this.dataSource, async (connection) => (await this.read(connection, id)) ?? 'absent');
  }

  async decide(id: string, waitMs: number): Promise<Exclude<LogAnswer, 'absent'>> {
    return pooled(this.dataSource, async (connection) => {
      try {
        const { rows } = await connection.query(
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
      return (await this.read(connection, id)) ?? 'running';
    });
  }

  async sweep(retentionMs: number, limit: number): Promise<number> {
    return pooled(this.dataSource, async (connection) => {
      const { affected } = await connection.query(
        `DELETE FROM ${this.table} WHERE id IN (
           SELECT id FROM ${this.table} WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond'
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
        [retentionMs, limit],
      );
      return affected;
    });
  }

  private async read(connection: SqlExecutor, id: string): Promise<LocalOutcome | undefined> {
    const { rows } = await connection.query(`SELECT outcome FROM ${this.table} WHERE id = $1`, [id]);
    return outcomeOf(rows[0]?.['outcome']);
  }
}
