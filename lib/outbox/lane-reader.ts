import type { Clock, ClockTimer } from '../client/clock.js';
import type { Lane, PendingRow } from './lane.js';
import type { LaneSet } from './lane-set.js';
import type { FetchRequest, IdRange, OutboxStore } from './outbox-store.js';
import type { OutboxRow } from './outbox-row.js';

export interface LaneReaderOptions {
  readonly fetchSize: number;
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  readonly sweepMs: number;
}

export interface LaneReaderEvents {
  /** Rows that came into memory, in order of id within a lane. */
  found(rows: readonly PendingRow[]): void;
  failed(error: unknown): void;
}

/** A full sweep comes after this many others, or later when it is slow. */
const SWEEPS_PER_FULL_SWEEP = 30;
/** Between two rows of one key in one transaction there are at most so many ids, as far as a backlog is concerned. */
const OWN_TRANSACTION_IDS = 1_000;
/** Sweeps may take this share of the time. */
const SWEEP_DUTY = 20;

/**
 * Finds rows of held lanes: at once when somebody knows of them (`wake`), otherwise by looking, often while there
 * is something and seldom while there is nothing.
 *
 * A look goes upwards from the highest id seen. Rows whose transaction took longer than that of later ones appear
 * below it; sweeps find them, from a floor that follows behind, and now and then from the very beginning. So a
 * floor can cost time, never a row. Before rows of an ordering key are handed on that a look found, it is asked
 * whether such a slower one is in front of them: if so, the look goes back that far. For rows of a backlog that a sweep
 * has begun on it is asked only about ids shortly before: what was committed before they were written, that sweep saw,
 * and only their own transaction can have written something else.
 */
export class LaneReader {
  private running: Promise<void> | undefined;
  private stopped = false;
  private wakeUp: (() => void) | undefined;
  private idleMs: number;
  private pollAt = 0;
  private sweepAt = 0;
  private sweeps = 0;
  private fullSweepAt = 0;
  /** No memory was free at the last look. */
  private starved = false;

  constructor(
    private readonly store: Pick<OutboxStore, 'fetch' | 'overtaken'>,
    private readonly lanes: LaneSet,
    private readonly options: LaneReaderOptions,
    private readonly events: LaneReaderEvents,
    private readonly clock: Clock,
  ) {
    this.idleMs = options.pollMinMs;
  }

  start(): void {
    this.running ??= this.loop();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.running;
  }

  /** A lane wants a look. The flag is on the lane, so a call while a look is under way is not lost. */
  wake(): void {
    this.wakeUp?.();
  }

  /** Rows of these lanes left memory. */
  roomMade(lanes: Iterable<Lane>): void {
    if (this.starved) {
      if (this.lanes.freeRows < this.options.fetchSize / 2 && this.lanes.rows > 0) return;
      this.starved = false;
      this.wake();
      return;
    }
    for (const lane of lanes) {
      if (lane.more && lane.rows.size <= this.options.fetchSize) {
        this.wake();
        return;
      }
    }
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      const requests = this.due();
      if (requests.length === 0) {
        await this.sleep();
        continue;
      }
      try {
        await this.look(requests);
      } catch (error) {
        this.events.failed(error);
        for (const { lane } of requests) lane.wantsLook = true;
        await this.pauseFor(this.options.pollMaxMs);
      }
    }
  }

  /** Which lanes to look at now, and from where. */
  private due(): readonly Look[] {
    const now = this.clock.monotonic();
    this.starved = !this.lanes.hasRoom && this.lanes.rows > 0;
    if (this.starved) return [];
    const poll = now >= this.pollAt;
    const sweep = now >= this.sweepAt;
    const full = sweep && now >= this.fullSweepAt && this.sweeps >= SWEEPS_PER_FULL_SWEEP;
    if (sweep) this.sweeps = full ? 0 : this.sweeps + 1;
    const looks: Look[] = [];
    for (const lane of this.lanes.held()) {
      const kind = lane.canSend(now) ? this.kindOf(lane, { poll, sweep, full }) : undefined;
      if (kind !== undefined) looks.push({ lane, kind, after: startOf(lane, kind) });
    }
    if (looks.length === 0 && poll) this.pollAt = now + this.idleMs;
    if (looks.length === 0 && sweep) this.sweepAt = now + this.options.sweepMs;
    return looks;
  }

  private kindOf(
    lane: Lane,
    due: { readonly poll: boolean; readonly sweep: boolean; readonly full: boolean },
  ): Look['kind'] | undefined {
    if (due.full || lane.wantsSweep) return 'full';
    if (due.sweep) return 'sweep';
    const crowded = lane.rows.size >= this.options.fetchSize * 2;
    return !crowded && (due.poll || lane.wantsLook || lane.more) ? 'look' : undefined;
  }

  private async look(looks: readonly Look[]): Promise<void> {
    const startedAt = this.clock.monotonic();
    const limit = clamp(Math.floor(this.lanes.freeRows / looks.length), 16, this.options.fetchSize);
    const bytes = Math.max(64 * 1024, Math.floor(this.lanes.freeBytes / looks.length));
    for (const { lane } of looks) {
      lane.wantsLook = false;
      lane.wantsSweep = false;
      lane.reported = Infinity;
      lane.removedMeanwhile = new Set();
    }
    let found: readonly PendingRow[];
    try {
      const rows = await this.store.fetch(looks.map(toRequest), limit, bytes);
      found = this.takeIn(await this.inOrder(looks, rows), rows, startedAt, limit, bytes);
    } finally {
      for (const { lane } of looks) lane.removedMeanwhile = undefined;
    }
    this.schedule(looks, startedAt, found.length > 0);
    if (found.length > 0) this.events.found(found);
  }

  /**
   * The looks whose rows may be handed on. A row of the same ordering key may be below the cursor, from a transaction
   * that took longer: its rows come first. What this asks sees at least what the look saw.
   */
  private async inOrder(looks: readonly Look[], rows: readonly OutboxRow[]): Promise<readonly Look[]> {
    const now = this.clock.monotonic();
    const keys = new Map<number, Set<string>>();
    const youngest = new Map<number, number>();
    for (const { lane, orderingKey, ageMs } of rows) {
      if (orderingKey === undefined) continue;
      const ofLane = keys.get(lane);
      if (ofLane === undefined) keys.set(lane, new Set([orderingKey]));
      else ofLane.add(orderingKey);
      youngest.set(lane, Math.max(youngest.get(lane) ?? -Infinity, now - ageMs));
    }
    const ranges: IdRange[] = [];
    const known: number[] = [];
    for (const { lane, kind, after } of looks) {
      const ofLane = keys.get(lane.lane);
      if (kind !== 'look' || ofLane === undefined || after <= lane.floor) continue;
      const covered = (youngest.get(lane.lane) ?? Infinity) < lane.coveredAt;
      const from = covered ? Math.max(lane.floor, after - OWN_TRANSACTION_IDS) : lane.floor;
      ranges.push({ lane: lane.lane, after: from, upto: after });
      for (const [id, { row }] of lane.rows) {
        if (row.orderingKey !== undefined && ofLane.has(row.orderingKey)) known.push(id);
      }
    }
    if (ranges.length === 0) return looks;
    const overtaken = await this.store.overtaken(
      ranges,
      [...new Set([...keys.values()].flatMap((each) => [...each]))],
      known,
    );
    if (overtaken.length === 0) return looks;
    const late = ranges.filter(({ lane }) => overtaken.includes(lane));
    // Read on from below the slower one, not from the beginning: with a full memory that might never come so far.
    for (const { lane, after } of late) this.lanes.get(lane)?.rewind(after + 1);
    return looks.filter(({ lane }) => !overtaken.includes(lane.lane));
  }

  private takeIn(
    looks: readonly Look[],
    rows: readonly OutboxRow[],
    startedAt: number,
    limit: number,
    bytes: number,
  ): PendingRow[] {
    const now = this.clock.monotonic();
    const byLane = groupByLane(rows);
    const found: PendingRow[] = [];
    for (const { lane, kind } of looks) {
      if (lane.state !== 'held') continue;
      const group = byLane.get(lane.lane) ?? [];
      const size = group.reduce((sum, { body }) => sum + body.length, 0);
      const complete = group.length < limit && size < bytes;
      for (const row of group) {
        const pending = this.lanes.admit(lane, row, now);
        if (pending !== undefined) found.push(pending);
      }
      const last = group[group.length - 1]?.id ?? 0;
      // A sweep that ended at its limit below the cursor says nothing about what is above.
      if (complete || last >= lane.cursor) {
        // What was there when a sweep had seen everything, and comes later, was hidden from it.
        if (kind !== 'look') lane.coveredAt = complete ? -Infinity : startedAt;
        lane.cursor = Math.min(Math.max(lane.cursor, last), lane.reported - 1);
        lane.more = !complete;
      }
      if (kind === 'full') this.raiseFloor(lane, group[0]?.id ?? lane.cursor + 1, now);
    }
    return found;
  }

  /** The floor is what a full sweep saw that is long past: transactions had that long to end. */
  private raiseFloor(lane: Lane, lowest: number, now: number): void {
    if (now - lane.nextFloorAt < this.options.sweepMs * SWEEPS_PER_FULL_SWEEP) return;
    lane.floor = lane.nextFloor;
    lane.nextFloor = Math.max(0, lowest - 1);
    lane.nextFloorAt = now;
  }

  private schedule(looks: readonly Look[], startedAt: number, foundSome: boolean): void {
    const now = this.clock.monotonic();
    const took = now - startedAt;
    const { pollMinMs, pollMaxMs, sweepMs } = this.options;
    this.idleMs = foundSome ? pollMinMs : Math.min(pollMaxMs, Math.max(pollMinMs, this.idleMs * 2));
    this.pollAt = now + this.idleMs;
    if (looks.some(({ kind }) => kind !== 'look')) this.sweepAt = now + Math.max(sweepMs, took * SWEEP_DUTY);
    if (looks.some(({ kind }) => kind === 'full')) this.fullSweepAt = now + took * SWEEP_DUTY;
  }

  private sleep(): Promise<void> {
    if (this.starved) return this.pauseFor(this.options.pollMaxMs);
    const now = this.clock.monotonic();
    return this.pauseFor(Math.max(1, Math.min(this.pollAt, this.sweepAt) - now));
  }

  private pauseFor(ms: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: ClockTimer = undefined;
      const done = (): void => {
        this.clock.clearTimeout(timer);
        this.wakeUp = undefined;
        resolve();
      };
      this.wakeUp = done;
      timer = this.clock.setTimeout(done, ms);
      if (this.stopped) done();
    });
  }
}

/**
 * - `look`: from the cursor upwards.
 * - `sweep`: from the floor.
 * - `full`: from the beginning.
 */
interface Look {
  readonly lane: Lane;
  readonly kind: 'look' | 'sweep' | 'full';
  /** Where it began; the lane may be rewound while it is under way. */
  readonly after: number;
}

function groupByLane(rows: readonly OutboxRow[]): ReadonlyMap<number, readonly OutboxRow[]> {
  const byLane = new Map<number, OutboxRow[]>();
  for (const row of rows) {
    const group = byLane.get(row.lane);
    if (group === undefined) byLane.set(row.lane, [row]);
    else group.push(row);
  }
  return byLane;
}

function toRequest({ lane, after }: Look): FetchRequest {
  return { lane: lane.lane, after };
}

function startOf(lane: Lane, kind: Look['kind']): number {
  return kind === 'look' ? lane.cursor : kind === 'sweep' ? lane.floor : 0;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
