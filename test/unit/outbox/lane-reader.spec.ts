import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LaneReader } from '../../../lib/outbox/lane-reader.js';
import { LaneSet } from '../../../lib/outbox/lane-set.js';
import { Lane } from '../../../lib/outbox/lane.js';
import type { OutboxRow } from '../../../lib/outbox/outbox-row.js';
import type { FetchRequest, IdRange } from '../../../lib/outbox/outbox-store.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const FETCH_SIZE = 16;
const SWEEP_MS = 60_000;
const LOOK_MS = 100;

/** One lane of the table. */
class Table {
  readonly rows = new Map<number, OutboxRow>();
  /** Where each look began. */
  readonly looks: number[] = [];
  /** Happens between a look at the table and its answer. */
  meanwhile: (() => void) | undefined;

  write(id: number, orderingKey?: string): void {
    this.rows.set(id, { lane: 0, id, orderingKey, body: Buffer.alloc(1), ageMs: 0 } as OutboxRow);
  }

  fetch([request]: readonly FetchRequest[], limit: number): Promise<OutboxRow[]> {
    const after = request?.after ?? 0;
    this.looks.push(after);
    const found = [...this.rows.values()].filter(({ id }) => id > after).sort((a, b) => a.id - b.id);
    this.meanwhile?.();
    this.meanwhile = undefined;
    return Promise.resolve(found.slice(0, limit));
  }

  overtaken(
    ranges: readonly IdRange[],
    keys: readonly string[],
    known: readonly number[],
  ): Promise<number[]> {
    const slower = (id: number, key: string | undefined): boolean =>
      ranges.some(({ after, upto }) => id > after && id <= upto) &&
      key !== undefined &&
      keys.includes(key) &&
      !known.includes(id);
    return Promise.resolve([...this.rows.values()].some((row) => slower(row.id, row.orderingKey)) ? [0] : []);
  }
}

describe('the reader of a lane', () => {
  let clock: FakeClock;
  let table: Table;
  let lane: Lane;
  let reader: LaneReader;
  let found: number[];

  beforeEach(async () => {
    clock = new FakeClock();
    table = new Table();
    lane = new Lane(0, 1, Infinity);
    found = [];
    const lanes = new LaneSet(10_000, 1_000_000);
    lanes.add(lane);
    reader = new LaneReader(
      table,
      lanes,
      { fetchSize: FETCH_SIZE, pollMinMs: LOOK_MS, pollMaxMs: LOOK_MS, sweepMs: SWEEP_MS },
      {
        found: (rows) => found.push(...rows.map(({ row }) => row.id)),
        failed: (error) => {
          throw error;
        },
      },
      clock,
    );
    reader.start();
    // The sweeps at the start are over.
    await clock.advance(LOOK_MS);
    table.looks.length = 0;
  });
  afterEach(() => reader.stop());

  it('looks again for a row that is reported while a look is under way which did not see it', async () => {
    table.write(20, 'l');
    table.meanwhile = () => {
      table.write(10, 'k');
      lane.rewind(10);
    };
    await clock.advance(LOOK_MS * 3);
    expect(found).toEqual([20, 10]);
    // And does not go back a second time.
    table.looks.length = 0;
    await clock.advance(LOOK_MS * 3);
    expect(new Set(table.looks)).toEqual(new Set([20]));
  });

  it('goes on above the rows that were reported before the look', async () => {
    table.write(10, 'k');
    lane.rewind(10);
    await clock.advance(LOOK_MS * 3);
    expect(found).toEqual([10]);
    expect(table.looks.at(-1)).toBe(10);
  });

  it('gets to a row of a slower transaction behind many that wait in memory, before it hands on later ones', async () => {
    for (let id = 1; id <= FETCH_SIZE + 8; id++) table.write(id);
    await clock.advance(LOOK_MS * 3);
    found.length = 0;
    table.write(101);
    await clock.advance(LOOK_MS * 2);
    table.looks.length = 0;
    table.write(100, 'k');
    table.write(102, 'k');
    await clock.advance(LOOK_MS * 3);
    expect(found).toEqual([101, 100, 102]);
    expect(table.looks.length).toBeLessThan(10);
  });
});
