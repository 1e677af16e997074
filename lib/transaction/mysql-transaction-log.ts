import type { DataSource, EntityManager } from 'typeorm';
import { pooled, within } from '../database/pooled.js';
import { sqlErrorKind } from '../database/sql-error.js';
import { OUTCOME_CODES, outcomeOf } from './outcome-codes.js';
import type { LogAnswer, TransactionLog } from './transaction-log.js';

const NOW = 'UTC_TIMESTAMP(6)';

/** MySQL 8 and MariaDB 10.6 or later; always the primary. */
export class MysqlTransactionLog implements TransactionLog {
  private readonly table: string;

  constructor(
    private readonly dataSource: DataSource,
    prefix: string,
  ) {
    this.table = `${prefix}transaction_log`;
  }

  async begin(tx: EntityManager, id: string, outcome: 'committed' | 'outboxed'): Promise<void> {
    await within(tx).query(`INSERT INTO ${this.table} (id, outcome, created_at) VALUES (?, ?, ${NOW})`, [
      bytes(id),
      OUTCOME_CODES[outcome],
    ]);
  }

  async has(tx: EntityManager, id: string): Promise<boolean> {
    const { rows } = await within(tx).query(`SELECT 1 FROM ${this.table} WHERE id = ?`, [bytes(id)]);
    return rows.length === 1;
  }

  look(id: string): Promise<Exclude<LogAnswer, 'running'>> {
    return pooled(this.dataSource, async (connection) => {
      const { rows } = await connection.query(`SELECT outcome FROM ${this.table} WHERE id = ?`, [bytes(id)]);
      return outcomeOf(rows[0]?.['outcome']) ?? 'absent';
    });
  }

  decide(id: string, waitMs: number): Promise<Exclude<LogAnswer, 'absent'>> {
    return pooled(this.dataSource, async (connection) => {
      const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
      await connection.query(`SET SESSION innodb_lock_wait_timeout = ${seconds}`);
      try {
        const { affected } = await connection.query(
          `INSERT IGNORE INTO ${this.table} (id, outcome, created_at) VALUES (?, 'R', ${NOW})`,
          [bytes(id)],
        );
        if (affected === 1) return 'rolled-back';
      } catch (error) {
        const kind = sqlErrorKind(error);
        if (kind === 'lock-timeout' || kind === 'conflict') return 'running';
        throw error;
      } finally {
        await connection.query('SET SESSION innodb_lock_wait_timeout = @@GLOBAL.innodb_lock_wait_timeout');
      }
      // A row that was there is not changed any more.
      const { rows } = await connection.query(`SELECT outcome FROM ${this.table} WHERE id = ?`, [bytes(id)]);
      return outcomeOf(rows[0]?.['outcome']) ?? 'running';
    });
  }

  async sweep(retentionMs: number, limit: number): Promise<number> {
    const { affected } = await pooled(this.dataSource, (connection) =>
      connection.query(
        `DELETE FROM ${this.table} WHERE created_at < ${NOW} - INTERVAL (? * 1000) MICROSECOND ORDER BY created_at LIMIT ?`,
        [retentionMs, limit],
      ),
    );
    return affected;
  }
}

function bytes(id: string): Buffer {
  return Buffer.from(id, 'hex');
}
