import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { Lane, PendingRow } from './lane.js';
import type { ParkedRow } from './parking.js';

type Phase = 'acquire' | 'renew' | 'fetch' | 'settle' | 'park' | 'sweep' | 'release';

/** Tells the application's event stream what the relay does. */
export function reportRelay(events: RocketMQEvents) {
  return {
    lanes(owned: readonly number[], gained: readonly number[], lost: readonly number[]): void {
      events.emit('outbox.lanes', { owned, gained, lost });
    },
    /** Rows of one request. */
    dispatched(rows: readonly PendingRow[], sendMs: number, now: number): void {
      const [first] = rows;
      if (first === undefined || !events.has('outbox.dispatched')) return;
      events.emit('outbox.dispatched', {
        connection: first.row.connection,
        topic: first.row.topic,
        count: rows.length,
        sendMs,
        agesMs: rows.map(({ row, seenAt }) => row.ageMs + now - seenAt),
      });
    },
    /** `stale` rows had been removed before: they were sent by somebody else too. */
    settled(count: number, settleMs: number, stale: number): void {
      events.emit('outbox.settled', { count, settleMs, stale });
    },
    backoff(rows: readonly PendingRow[], delayMs: number, error: unknown): void {
      const [first] = rows;
      if (first === undefined) return;
      const { connection, topic } = first.row;
      events.emit('outbox.backoff', { connection, topic, rows: rows.length, delayMs, error });
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
