import type { DataSource, EntityManager } from 'typeorm';
import { within } from '../database/pooled.js';
import { sqliteGate, type SqliteGate } from '../database/sqlite-gate.js';
import { OUTCOME_CODES, outcomeOf } from './outcome-codes.js';
import type { LogAnswer, TransactionLog } from './transaction-log.js';

const NOW = `CAST(unixepoch('subsec') * 1000 AS integer)`;

/** SQLite 3.41 or later, one process. A check waits for its turn, so a running transaction is never in its way. */
export class SqliteTransactionLog implements TransactionLog {
  private readonly gate: SqliteGate;
  private readonly table: string;

  constructor(dataSource: DataSource, prefix: string) {
    this.gate = sqliteGate(dataSource);
    this.table = `${prefix}transaction_log`;
  }

  async begin(tx: EntityManager, id: string, outcome: 'committed' | 'outboxed'): Promise<void> {
    await within(tx).query(
      `INSERT INTO ${this.table} (id, outcome, created_at) VALUES (unhex(?), ?, ${NOW})`,
      [id, OUTCOME_CODES[outcome]],
    );
  }

  async has(tx: EntityManager, id: string): Promise<boolean> {
    const { rows } = await within(tx).query(`SELECT 1 FROM ${this.table} WHERE id = unhex(?)`, [id]);
    return rows.length === 1;
  }

  look(id: string): Promise<Exclude<LogAnswer, 'running'>> {
    return this.gate.runNative((tx) => {
      const [row] = tx.all(`SELECT outcome FROM ${this.table} WHERE id = unhex(?)`, id);
      return outcomeOf(row?.['outcome']) ?? 'absent';
    });
  }

  decide(id: string): Promise<Exclude<LogAnswer, 'absent'>> {
    return this.gate.runNative((tx) => {
      tx.run(
        `INSERT INTO ${this.table} (id, outcome, created_at) VALUES (unhex(?), 'R', ${NOW}) ON CONFLICT DO NOTHING`,
        id,
      );
      const [row] = tx.all(`SELECT outcome FROM ${this.table} WHERE id = unhex(?)`, id);
      return outcomeOf(row?.['outcome']) ?? 'running';
    });
  }

  sweep(retentionMs: number, limit: number): Promise<number> {
    return this.gate.runNative((tx) =>
      tx.run(
        `DELETE FROM ${this.table} WHERE id IN (
           SELECT id FROM ${this.table} WHERE created_at < ${NOW} - ? ORDER BY created_at LIMIT ?)`,
        retentionMs,
        limit,
      ),
    );
  }
}
