import { describe, expect, it } from 'vitest';
import { LaneKeeper } from '../../../lib/outbox/lane-keeper.js';
import { LaneSet } from '../../../lib/outbox/lane-set.js';
import type { OutboxRow } from '../../../lib/outbox/outbox-row.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const SURVEY_MS = 100;

describe('lanes of an instance', () => {
  it('that are taken again before the end of their lease was noticed, begin anew', async () => {
    const clock = new FakeClock();
    const lanes = new LaneSet(10, 1_000);
    let epoch = 0;
    const keeper = new LaneKeeper(
      'me',
      {
        survey: () => Promise.resolve({ instances: ['me'], claimable: 1 }),
        // The first answer came so late that the lease was over: the database gives the same lane once more.
        acquire: () => Promise.resolve(epoch < 2 ? [{ lane: 0, epoch: ++epoch }] : []),
        renew: () => Promise.reject(new Error('no answer')),
        release: () => Promise.resolve(),
        leave: () => Promise.resolve(),
        blockedKeys: () => Promise.resolve([]),
      },
      lanes,
      { leaseMs: 60_000, renewMs: 20_000, surveyMs: SURVEY_MS, reserveMs: 4_000, totalLanes: 2 },
      { acquiring: () => Promise.resolve(), changed: () => {}, renewed: () => {}, failed: () => {} },
      clock,
      () => 0.5,
    );
    keeper.start();
    await clock.advance(SURVEY_MS / 2);
    const first = lanes.get(0);
    if (first === undefined) throw new Error('the lane was not taken');
    lanes.admit(first, { id: 1, lane: 0, body: Buffer.from('a') } as OutboxRow, 0);

    await clock.advance(SURVEY_MS * 2);
    expect(lanes.get(0)?.epoch).toBe(2);
    // What was read then is read again; nobody waits for the old lease to be renewed.
    expect(first.state).toBe('lost');
    expect(lanes.rows).toBe(0);
    await keeper.stop();
  });
});
