import type { EntityManager } from 'typeorm';
import type { NewOutboxRow, OutboxRow, WrittenOutboxRow } from './outbox-row.js';

/** A lane this instance holds, with the number that fences off earlier owners. */
export interface LaneLease {
  readonly lane: number;
  readonly epoch: number;
}

/** What the owner of a lane last saw in it; metrics and health read this instead of the rows. */
export interface LaneReport extends LaneLease {
  readonly pending: number;
  /** There are more than were counted. */
  readonly more: boolean;
  readonly oldestAgeMs: number | undefined;
}

/** Who takes part and which lanes are free, by the database's clock. */
export interface Survey {
  /** Ids of live instances, sorted. */
  readonly instances: readonly string[];
  readonly claimable: number;
}

export interface FetchRequest {
  readonly lane: number;
  /** Rows with a higher id only. */
  readonly after: number;
}

/** Ids of a lane above `after`, up to `upto`. */
export interface IdRange extends FetchRequest {
  readonly upto: number;
}

export interface RowId {
  readonly lane: number;
  readonly id: number;
}

/**
 * One row put aside.
 *
 * - `retry`: due again later.
 * - `dead`: left to an operator.
 * - `behind`: waits for an earlier row of its ordering key.
 */
export type ParkedState = 'retry' | 'dead' | 'behind';

export interface ParkOrder {
  readonly id: number;
  readonly state: ParkedState;
  readonly delayMs?: number | undefined;
  readonly attempts: number;
  readonly error?: string | undefined;
}

/** What became of orders to park. */
export interface ParkResult {
  /** False: the lane belongs to somebody else by now, and nothing was written. */
  readonly held: boolean;
  /** Ids of `behind` rows that stay in the outbox, because nothing is in front of them any more. */
  readonly free: readonly number[];
}

/** Rows that came back. */
export interface UnparkResult {
  readonly held: boolean;
  /** In order of id; they are in the outbox again. */
  readonly rows: readonly OutboxRow[];
  /** Ordering keys that have further rows parked: those came back in part. */
  readonly stillBlocked: readonly string[];
}

/** A key whose rows must not be sent because an earlier one is parked. */
export interface BlockedKey {
  readonly lane: number;
  readonly orderingKey: string;
}

/**
 * The outbox's tables, one implementation per dialect. Everything that compares times does so on the database's
 * clock. `insert` runs in the caller's transaction, the rest on the relay's own connection.
 */
export interface OutboxStore {
  /** Number of lanes in the database; asked in the caller's transaction when there is one. */
  lanes(tx?: EntityManager): Promise<number>;
  insert(tx: EntityManager, rows: readonly NewOutboxRow[]): Promise<readonly WrittenOutboxRow[]>;
  /**
   * Takes that many numbers of each ordering key, in the caller's transaction: the key stays locked until it ends, so
   * that numbers follow the order of commits. Resolves with the last number of each.
   */
  nextSequences(tx: EntityManager, counts: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, number>>;

  survey(): Promise<Survey>;
  /**
   * Takes part for `leaseMs` more, prolongs the lanes that are still held, and stores what was seen in them.
   * Resolves with those lanes.
   */
  renew(instance: string, lanes: readonly LaneReport[], leaseMs: number): Promise<readonly number[]>;
  /** Takes up to `max` free lanes, each with a new epoch. */
  acquire(instance: string, max: number, leaseMs: number): Promise<readonly LaneLease[]>;
  /** Gives lanes back now. */
  release(instance: string, lanes: readonly LaneLease[]): Promise<void>;
  leave(instance: string): Promise<void>;

  /** Rows of lanes in order of id, at most `limit` and roughly `bytes` of each lane. */
  fetch(requests: readonly FetchRequest[], limit: number, bytes: number): Promise<readonly OutboxRow[]>;
  /**
   * In which of these ranges there are rows of the ordering keys beside the known ids: rows whose transaction took
   * longer than that of a row above the range. Resolves with the lanes.
   */
  overtaken(
    ranges: readonly IdRange[],
    orderingKeys: readonly string[],
    known: readonly number[],
  ): Promise<readonly number[]>;
  /**
   * Removes rows the broker acknowledged, with a record of them if there is a history. Not fenced: they were sent,
   * whoever owns the lane now. Resolves with the number that was still there.
   */
  settle(rows: readonly RowId[], history: boolean): Promise<number>;
  /**
   * Puts rows aside, if the lane is still held in that epoch. Of an ordering key, only the first parked row is
   * `retry` (or `dead`, with `block`); everything after it is `behind`. With `skip`, what is behind a dead row becomes due.
   */
  park(lease: LaneLease, orders: readonly ParkOrder[], behindDead: 'block' | 'skip'): Promise<ParkResult>;
  /** Keys with a parked row in front, in these lanes. */
  blockedKeys(lanes: readonly number[], behindDead: 'block' | 'skip'): Promise<readonly BlockedKey[]>;
  /** Which of the lanes have parked rows that are due. */
  dueLanes(lanes: readonly number[]): Promise<readonly number[]>;
  /** Brings due rows of a held lane back, at most `limit`, each with what is behind it, at most `limit` in all. */
  unpark(lease: LaneLease, limit: number): Promise<UnparkResult>;
  /** Removes records older than the retention, at most `limit`. */
  sweepHistory(retentionMs: number, limit: number): Promise<number>;
  close(): Promise<void>;
}
