import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Lane, type PendingRow } from '../../../lib/outbox/lane.js';
import type { OutboxRow } from '../../../lib/outbox/outbox-row.js';
import type { LaneLease, ParkOrder } from '../../../lib/outbox/outbox-store.js';
import { Parking, type ParkedRow } from '../../../lib/outbox/parking.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const RETRY_MS = 100;

describe('rows that are put aside', () => {
  const lane = new Lane(0, 1, Infinity);
  let clock: FakeClock;
  let parking: Parking;
  let told: string[];
  let databaseAnswers: boolean;
  let asked: number[][];

  const row = (id: number, state: 'dead' | 'behind'): ParkedRow => {
    const pending: PendingRow = {
      row: { id, orderingKey: 'k' } as OutboxRow,
      lane,
      phase: 'sending',
      alone: false,
      seenAt: 0,
    };
    return { pending, cause: undefined, order: { id, state, attempts: 1 } };
  };
  const ids = (rows: readonly PendingRow[]): string => rows.map(({ row: { id } }) => id).join(' ');

  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    asked = [];
    databaseAnswers = true;
    parking = new Parking(
      {
        park: (_lease: LaneLease, orders: readonly ParkOrder[]) => {
          asked.push(orders.map(({ id }) => id));
          const free = orders.filter(({ state }) => state === 'behind').map(({ id }) => id);
          return Promise.resolve({ held: true, free });
        },
        blockedKeys: () => (databaseAnswers ? Promise.resolve([]) : Promise.reject(new Error('no answer'))),
        dueLanes: () => Promise.resolve([]),
        unpark: () => Promise.reject(new Error('nothing is due')),
      },
      () => [lane],
      { behindDead: 'skip', retryMs: RETRY_MS, scanMs: 1_000, limit: 10 },
      clock,
      {
        parked: (_, rows) => told.push(`parked ${ids(rows.map(({ pending }) => pending))}`),
        freed: (_, rows) => told.push(`freed ${ids(rows)}`),
        returned: () => told.push('returned'),
        lost: () => told.push('lost'),
        failed: () => told.push('failed'),
      },
    );
  });
  afterEach(() => parking.stop());

  it('are told as soon as that is committed, whatever becomes of those behind them', async () => {
    databaseAnswers = false;
    parking.add(lane, [row(1, 'dead'), row(2, 'behind')]);
    await clock.advance(RETRY_MS * 1.5);
    expect(told).toEqual(['parked 1', 'failed', 'failed']);
    databaseAnswers = true;
    await clock.advance(RETRY_MS);
    expect(told).toEqual(['parked 1', 'failed', 'failed', 'freed 2']);
    expect(asked).toEqual([[1, 2], [2], [2]]);
  });

  it('are told once when there is nothing behind them', async () => {
    parking.add(lane, [row(1, 'dead')]);
    await clock.advance(RETRY_MS * 3);
    expect(told).toEqual(['parked 1']);
  });
});
