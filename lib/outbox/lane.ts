import type { LaneLease } from './outbox-store.js';
import type { OutboxRow } from './outbox-row.js';

/**
 * Where a row in memory is.
 *
 * - `waiting`: may be dropped at any time; the database still has it.
 * - `sending`: with the broker, outcome open.
 * - `acknowledged`: at the broker; to be removed from the database.
 * - `parking`: refused, or behind a refused one; being put aside.
 */
export type RowPhase = 'waiting' | 'sending' | 'acknowledged' | 'parking';

/** A row of a held lane that is in memory. */
export interface PendingRow {
  readonly row: OutboxRow;
  readonly lane: Lane;
  phase: RowPhase;
  /** A batch with it failed: it goes alone now. */
  alone: boolean;
  /** By the monotonic clock. */
  readonly seenAt: number;
}

/**
 * - `held`: rows are read and sent.
 * - `leaving`: nothing new; what is on its way is finished, then the lane is given back.
 * - `lost`: somebody else has it, or may have it.
 */
export type LaneState = 'held' | 'leaving' | 'lost';

/** So many rows a look may be ahead of the answers to their COMMITs. */
const FOUND_KEPT = 1_024;

/** A lane this instance holds or held: its lease and what is in memory of it. */
export class Lane implements LaneLease {
  state: LaneState = 'held';
  /** Highest id that was read. */
  cursor = 0;
  /** Rows below it were there long ago; only a full sweep looks there. */
  floor = 0;
  /** The next floor, when enough time has passed since it was seen. */
  nextFloor = 0;
  /** By the monotonic clock. */
  nextFloorAt = -Infinity;
  /**
   * Begin of the last sweep, if it saw everything up to its end and there was more behind: a backlog. By the monotonic
   * clock.
   */
  coveredAt = -Infinity;
  /** The last look ended at a limit: there are more rows behind the cursor. */
  more = false;
  /** Somebody knows of new rows. */
  wantsLook = true;
  /** Lowest id that was reported since the last look began: that look may not have seen it. */
  reported = Infinity;
  /** Somebody knows of rows below the cursor. */
  wantsSweep = true;
  /** Ordering keys with a parked row in front. */
  readonly blockedKeys = new Set<string>();
  readonly rows = new Map<number, PendingRow>();
  /** Latest rows without ordering key that a look found; their own transactions may not have heard yet that they are committed. */
  private readonly found = new Set<number>();
  /** Ids that were removed while a look was under way: its answer may still contain them. */
  removedMeanwhile: Set<number> | undefined;
  private busy = 0;

  constructor(
    readonly lane: number,
    readonly epoch: number,
    /** No send begins after this moment of the monotonic clock. */
    public deadline: number,
  ) {}

  /** Rows that are with the broker, or not yet recorded in the database. */
  get active(): number {
    return this.busy;
  }

  enter(pending: PendingRow, phase: RowPhase): void {
    if (pending.phase === 'waiting' && phase !== 'waiting') this.busy += 1;
    if (pending.phase !== 'waiting' && phase === 'waiting') this.busy -= 1;
    pending.phase = phase;
  }

  /** A look found the row: whoever wrote it need not hand it over any more. */
  foundFirst(id: number): void {
    this.found.add(id);
    if (this.found.size <= FOUND_KEPT) return;
    for (const oldest of this.found) {
      this.found.delete(oldest);
      return;
    }
  }

  /** Whether a look was quicker than the answer to COMMIT. Asked once per row. */
  wasFound(id: number): boolean {
    return this.found.delete(id);
  }

  canSend(now: number): boolean {
    return this.state === 'held' && now < this.deadline;
  }

  /** A row with this id exists; the next look must not start above it. */
  rewind(id: number): void {
    this.cursor = Math.min(this.cursor, id - 1);
    this.reported = Math.min(this.reported, id);
    this.wantsLook = true;
  }
}
