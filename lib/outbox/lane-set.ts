import type { Lane, PendingRow } from './lane.js';
import type { OutboxRow } from './outbox-row.js';

/** The lanes of this instance, and the bounds on what is in memory of them. */
export class LaneSet {
  private readonly lanes = new Map<number, Lane>();
  private count = 0;
  private size = 0;

  constructor(
    private readonly maxRows: number,
    private readonly maxBytes: number,
  ) {}

  get(lane: number): Lane | undefined {
    return this.lanes.get(lane);
  }

  /** Every lane that is held or leaving. */
  all(): readonly Lane[] {
    return [...this.lanes.values()];
  }

  held(): readonly Lane[] {
    return this.all().filter(({ state }) => state === 'held');
  }

  /**
   * A lane can come back before its end was noticed, with another epoch: its lease had run out while the database or this
   * process was slow. What is in memory of the time before would never be sent, and keep others of its topic waiting.
   */
  add(lane: Lane): void {
    const before = this.lanes.get(lane.lane);
    if (before !== undefined) this.lose(before);
    this.lanes.set(lane.lane, lane);
  }

  /** Rows in memory. */
  get rows(): number {
    return this.count;
  }

  /** Bytes of their bodies. */
  get bytes(): number {
    return this.size;
  }

  get freeRows(): number {
    return Math.max(0, this.maxRows - this.count);
  }

  get freeBytes(): number {
    return Math.max(0, this.maxBytes - this.size);
  }

  get hasRoom(): boolean {
    return this.count < this.maxRows && this.size < this.maxBytes;
  }

  /** Takes a row into memory; undefined when it is there already, or was removed while it was read. */
  admit(lane: Lane, row: OutboxRow, now: number): PendingRow | undefined {
    if (lane.rows.has(row.id) || lane.removedMeanwhile?.has(row.id)) return undefined;
    const pending: PendingRow = { row, lane, phase: 'waiting', alone: false, seenAt: now };
    lane.rows.set(row.id, pending);
    this.count += 1;
    this.size += row.body.length;
    return pending;
  }

  /** Forgets a row: it is settled, parked, or somebody else's. */
  remove(pending: PendingRow): void {
    const { lane, row } = pending;
    if (!lane.rows.delete(row.id)) return;
    lane.removedMeanwhile?.add(row.id);
    lane.enter(pending, 'waiting');
    this.count -= 1;
    this.size -= row.body.length;
  }

  /** Forgets what only waits, so that a lane can end. What is on its way stays until it has its answer. */
  removeWaiting(lane: Lane): void {
    for (const pending of lane.rows.values()) {
      if (pending.phase === 'waiting') this.remove(pending);
    }
  }

  /** The lane is gone; its rows on their way keep their records until they have an answer. */
  lose(lane: Lane): void {
    lane.state = 'lost';
    if (this.lanes.get(lane.lane) === lane) this.lanes.delete(lane.lane);
    this.removeWaiting(lane);
  }
}
