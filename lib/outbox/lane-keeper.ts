import { pause, type Clock } from '../client/clock.js';
import { Lane } from './lane.js';
import type { LaneSet } from './lane-set.js';
import type { LaneReport, OutboxStore } from './outbox-store.js';

export interface LaneKeeperOptions {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly surveyMs: number;
  /** Taken off the end of a lease: what is sent in the last moment must be answered before the lease ends. */
  readonly reserveMs: number;
  readonly totalLanes: number;
}

export interface LaneKeeperEvents {
  /** New lanes, not yet in the set; they are put there afterwards. */
  acquiring(lanes: readonly Lane[]): Promise<void>;
  changed(gained: readonly number[], lost: readonly number[]): void;
  /** Leases were prolonged: what waited for that may go on. */
  renewed(): void;
  failed(phase: 'acquire' | 'renew' | 'release', error: unknown): void;
}

type KeeperStore = Pick<OutboxStore, 'survey' | 'renew' | 'acquire' | 'release' | 'leave' | 'blockedKeys'>;

/**
 * Keeps this instance's fair share of the lanes. Leases run on the database's clock; here only the time until they
 * must be regarded as lost is measured, on the monotonic clock and from before the request that prolonged them.
 */
export class LaneKeeper {
  private readonly abort = new AbortController();
  private running: Promise<void> | undefined;
  private renewedAt = -Infinity;
  private closing = false;

  constructor(
    private readonly instance: string,
    private readonly store: KeeperStore,
    private readonly lanes: LaneSet,
    private readonly options: LaneKeeperOptions,
    private readonly events: LaneKeeperEvents,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {}

  start(): void {
    this.running ??= this.loop();
  }

  /** No new lanes; those held are still renewed. */
  close(): void {
    this.closing = true;
  }

  /** Ends renewing. Lanes without rows under way go back at once, the others when their lease has run out. */
  async stop(): Promise<void> {
    this.abort.abort();
    await this.running;
  }

  /** Gives back every lane and leaves. Only after `stop`. */
  async leave(): Promise<void> {
    const idle = this.lanes.all().filter((lane) => lane.active === 0);
    for (const lane of this.lanes.all()) this.lanes.lose(lane);
    await this.store.release(this.instance, idle);
    await this.store.leave(this.instance);
  }

  private async loop(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      await this.renewIfDue();
      if (!this.closing && !signal.aborted) await this.rebalance();
      this.giveUpExpired();
      // Instances that were started together should not ask together.
      await pause(this.clock, this.options.surveyMs * (0.8 + 0.4 * this.random()), signal);
    }
  }

  private async renewIfDue(): Promise<void> {
    const { leaseMs, renewMs, surveyMs } = this.options;
    const startedAt = this.clock.monotonic();
    // The next chance comes a survey later.
    if (startedAt - this.renewedAt < renewMs - surveyMs) return;
    const lanes = this.lanes.all();
    try {
      const kept = new Set(
        await this.store.renew(
          this.instance,
          lanes.map((lane) => this.report(lane)),
          leaseMs,
        ),
      );
      this.renewedAt = startedAt;
      const lost = lanes.filter((lane) => !kept.has(lane.lane) && lane.state !== 'lost');
      for (const lane of lost) this.lanes.lose(lane);
      for (const lane of lanes) if (kept.has(lane.lane)) lane.deadline = this.deadlineFrom(startedAt);
      if (lost.length > 0)
        this.events.changed(
          [],
          lost.map(({ lane }) => lane),
        );
      this.events.renewed();
    } catch (error) {
      this.events.failed('renew', error);
    }
  }

  /** Takes lanes up to the fair share, and lets go of what is above it. */
  private async rebalance(): Promise<void> {
    try {
      const { instances, claimable } = await this.store.survey();
      const owned = this.lanes.all();
      const share = fairShare(instances, this.instance, this.options.totalLanes);
      if (owned.length < share && claimable > 0) await this.acquire(share - owned.length);
      const held = this.lanes.held();
      if (held.length > share) {
        // Those with the least under way leave soonest.
        const leaving = [...held].sort((a, b) => a.active - b.active).slice(0, held.length - share);
        for (const lane of leaving) {
          lane.state = 'leaving';
          this.lanes.removeWaiting(lane);
        }
      }
      await this.releaseLeft();
    } catch (error) {
      this.events.failed('acquire', error);
    }
  }

  private async acquire(max: number): Promise<void> {
    const startedAt = this.clock.monotonic();
    const leases = await this.store.acquire(this.instance, max, this.options.leaseMs);
    const gained = leases.map(({ lane, epoch }) => new Lane(lane, epoch, this.deadlineFrom(startedAt)));
    if (gained.length === 0) return;
    await this.events.acquiring(gained);
    for (const lane of gained) this.lanes.add(lane);
    this.events.changed(
      gained.map(({ lane }) => lane),
      [],
    );
  }

  /** Lanes that were asked to leave, and have nothing under way any more. */
  private async releaseLeft(): Promise<void> {
    const left = this.lanes.all().filter((lane) => lane.state === 'leaving' && lane.active === 0);
    if (left.length === 0) return;
    for (const lane of left) this.lanes.lose(lane);
    this.events.changed(
      [],
      left.map(({ lane }) => lane),
    );
    try {
      await this.store.release(this.instance, left);
    } catch (error) {
      this.events.failed('release', error);
    }
  }

  /** The database was out of reach for a whole lease: somebody else may have the lanes. */
  private giveUpExpired(): void {
    const expired = this.lanes
      .all()
      .filter((lane) => this.clock.monotonic() > lane.deadline + this.options.reserveMs);
    for (const lane of expired) this.lanes.lose(lane);
    if (expired.length > 0)
      this.events.changed(
        [],
        expired.map(({ lane }) => lane),
      );
  }

  private deadlineFrom(startedAt: number): number {
    return startedAt + this.options.leaseMs - this.options.reserveMs;
  }

  private report(lane: Lane): LaneReport {
    const now = this.clock.monotonic();
    let oldestAgeMs: number | undefined;
    for (const { row, seenAt } of lane.rows.values()) {
      oldestAgeMs = Math.max(oldestAgeMs ?? 0, row.ageMs + (now - seenAt));
    }
    return { lane: lane.lane, epoch: lane.epoch, pending: lane.rows.size, more: lane.more, oldestAgeMs };
  }
}

/**
 * Lanes an instance should hold: all share alike, and the first ones in order of their ids take what does not
 * divide.
 */
export function fairShare(instances: readonly string[], instance: string, lanes: number): number {
  const known = instances.includes(instance) ? instances : [...instances, instance].sort();
  const place = known.indexOf(instance);
  return Math.floor(lanes / known.length) + (place < lanes % known.length ? 1 : 0);
}
