import type { EntityManager } from 'typeorm';

/** The answer to a handler that asks for a lease on a message. */
export type LeaseClaim =
  | { readonly state: 'claimed'; readonly epoch: number }
  /** The effect exists already. */
  | { readonly state: 'done' }
  /** Somebody else works on it, and may for so many milliseconds more. */
  | { readonly state: 'busy'; readonly remainingMs: number };

/**
 * The inbox tables, one implementation per dialect. Keys are 32 hex digits. Times are the database's.
 */
export interface InboxStore {
  /** The number of a consumer group, which gets one when it is new. */
  groupId(group: string): Promise<number>;
  /**
   * Records messages in the handler's transaction, with one statement. Waits up to `waitMs` for transactions that
   * are recording the same ones; then fails with the database's lock error. Resolves with the keys that are new.
   */
  record(
    tx: EntityManager,
    groupId: number,
    keys: readonly string[],
    waitMs: number,
  ): Promise<ReadonlySet<string>>;
  /** Which of the recorded keys have no effect yet: under a lease that was not completed, or released meanwhile. */
  leased(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Takes records back, in the handler's transaction. */
  forget(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<void>;
  /** How many of the keys are recorded, as the handler's transaction sees it. */
  count(tx: EntityManager, groupId: number, keys: readonly string[]): Promise<number>;

  claim(groupId: number, key: string, leaseMs: number): Promise<LeaseClaim>;
  /** False: the lease was lost. */
  extend(groupId: number, key: string, epoch: number, leaseMs: number): Promise<boolean>;
  /** The effect exists. False: the lease was lost. */
  complete(groupId: number, key: string, epoch: number): Promise<boolean>;
  /** The effect does not exist; anybody may try. */
  release(groupId: number, key: string, epoch: number): Promise<void>;

  /** Removes records older than the retention, at most `limit`; resolves with their number. */
  sweep(retentionMs: number, limit: number): Promise<number>;
  /** Rows in the table as far as the database's statistics know; undefined where it keeps none. */
  approximateRows(): Promise<number | undefined>;
}
