import type { EntityManager } from 'typeorm';

/**
 * How a local transaction ended.
 *
 * - `committed`: its message is to be delivered.
 * - `rolled-back`: it left nothing, and a check has made sure that it never will.
 * - `outboxed`: committed, and its message went through the outbox; the half message is to be discarded.
 */
export type LocalOutcome = 'committed' | 'rolled-back' | 'outboxed';

/** What the log knows about a transaction. `running`: somebody is writing its row at this moment. */
export type LogAnswer = LocalOutcome | 'running' | 'absent';

/**
 * The transaction log, one implementation per dialect. Ids are 32 hex digits.
 */
export interface TransactionLog {
  /**
   * The first statement of a local transaction.
   * @throws the driver's unique-key error when a check was answered with a rollback before
   */
  begin(tx: EntityManager, id: string, outcome: 'committed' | 'outboxed'): Promise<void>;
  /** Whether the row is still there, as the transaction that wrote it sees it. */
  has(tx: EntityManager, id: string): Promise<boolean>;
  /** Reads, and waits for nobody. */
  look(id: string): Promise<Exclude<LogAnswer, 'running'>>;
  /**
   * Reads, and writes a rollback when there is nothing: from then on the local transaction cannot commit. Waits up
   * to `waitMs` for a transaction that has written its row and not ended; then the answer is `running`.
   */
  decide(id: string, waitMs: number): Promise<Exclude<LogAnswer, 'absent'>>;
  /** Removes rows older than the retention, at most `limit`; resolves with their number. */
  sweep(retentionMs: number, limit: number): Promise<number>;
}
