import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { Lane, PendingRow } from './lane.js';
import type { ParkedRow } from './parking.js';

type Phase = 'acquire' | 'renew' | 'fetch' | 'settle' | 'park' | 'sweep' | 'release';

/** Tells the application's event stream what the relay does, one event per lane. */
export function reportRelay(events: RocketMQEvents) {
  return {
    lanes(owned: readonly number[], gained: readonly number[], lost: readonly number[]): void {
      events.emit('outbox.lanes', { owned, gained, lost });
    },
    dispatched(rows: readonly PendingRow[], sendMs: number, now: number): void {
      if (!events.has('outbox.dispatched')) return;
      for (const [lane, group] of byLane(rows)) {
        const oldestAgeMs = group.reduce(
          (age, { row, seenAt }) => Math.max(age, row.ageMs + now - seenAt),
          0,
        );
        events.emit('outbox.dispatched', { lane, count: group.length, sendMs, oldestAgeMs });
      }
    },
    /** `stale` rows had been removed before: they were sent by somebody else too. */
    settled(rows: readonly PendingRow[], settleMs: number, stale: number): void {
      if (!events.has('outbox.settled')) return;
      let rest = stale;
      for (const [lane, group] of byLane(rows)) {
        const share = Math.min(rest, group.length);
        rest -= share;
        events.emit('outbox.settled', { lane, count: group.length, settleMs, stale: share });
      }
    },
    backoff(rows: readonly PendingRow[], delayMs: number, error: unknown): void {
      for (const lane of byLane(rows).keys()) events.emit('outbox.backoff', { lane, delayMs, error });
    },
    parked(lane: Lane, rows: readonly ParkedRow[], now: number): void {
      for (const { pending, order, cause } of rows) {
        if (order.state === 'behind') continue; // the row in front was reported
        events.emit('outbox.parked', {
          lane: lane.lane,
          topic: pending.row.topic,
          messageId: pending.row.messageId,
          attempts: order.attempts,
          dueAt: order.delayMs === undefined ? undefined : new Date(now + order.delayMs),
          error: cause,
        });
      }
    },
    error(phase: Phase, error: unknown): void {
      events.emit('outbox.error', { phase, error });
    },
  };
}

function byLane(rows: readonly PendingRow[]): ReadonlyMap<number, readonly PendingRow[]> {
  const groups = new Map<number, PendingRow[]>();
  for (const pending of rows) {
    const group = groups.get(pending.lane.lane);
    if (group === undefined) groups.set(pending.lane.lane, [pending]);
    else group.push(pending);
  }
  return groups;
}
