import { describe, expect, it } from 'vitest';
import { allocateAveragely } from '../../../lib/client/allocation/averagely.js';
import { ConsumerReports } from '../../../lib/client/consumer/consumer-reports.js';
import { Rebalance } from '../../../lib/client/consumer/rebalance.js';
import type { MessageQueue } from '../../../lib/message/message.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const QUEUES: readonly MessageQueue[] = [0, 1, 2, 3].map((queueId) => ({
  topic: 'orders',
  brokerName: 'broker-a',
  queueId,
}));

/** A group as the broker lists it, and what this member takes. */
function setUp(members: readonly string[]) {
  const clock = new FakeClock();
  const group = { members, heartbeats: 0, asked: 0, route: Promise.resolve() };
  const shares: number[][] = [];
  const complete: string[] = [];
  const rebalance = new Rebalance(
    { clientId: 'me', clock },
    {
      routes: {
        subscribeQueues: async () => {
          await group.route;
          return QUEUES;
        },
        track: () => undefined,
        untrack: () => undefined,
        onChange: () => () => undefined,
      },
      members: async () => {
        group.asked++;
        return group.members;
      },
      heartbeat: async () => void group.heartbeats++,
    },
    {
      group: 'group',
      intervalMs: 20_000,
      strategy: allocateAveragely(),
      broadcasting: false,
      topics: () => ['orders'],
      assign: async (_topic, queues) => {
        shares.push(queues.map(({ queueId }) => queueId));
        return true;
      },
      onComplete: (topic) => complete.push(topic),
    },
    new ConsumerReports('group', () => undefined),
  );
  return { clock, complete, group, shares, rebalance };
}

describe('rebalance', () => {
  it('counts a member once that the broker lists twice, as it does after a reconnection', async () => {
    const { clock, rebalance, shares } = setUp(['me', 'me']);
    rebalance.start();
    await clock.settle();
    expect(shares).toEqual([[0, 1, 2, 3]]);
    await rebalance.stop();
  });

  it('takes its share among several members', async () => {
    const { clock, rebalance, shares } = setUp(['you', 'me']);
    rebalance.start();
    await clock.settle();
    expect(shares).toEqual([[0, 1]]);
    await rebalance.stop();
  });

  it('gives its queues up when the broker lists others but not this member, and introduces itself', async () => {
    const { clock, complete, group, rebalance, shares } = setUp(['you']);
    rebalance.start();
    await clock.settle();
    expect([shares, group.heartbeats]).toEqual([[[]], 1]);
    expect(complete).toEqual([]);
    group.members = ['you', 'me'];
    await clock.advance(1_000);
    expect(shares.at(-1)).toEqual([0, 1]);
    expect(new Set(complete)).toEqual(new Set(['orders']));
    await rebalance.stop();
  });

  it('keeps what it has while a broker that has just started knows nobody', async () => {
    const { clock, group, rebalance, shares } = setUp([]);
    rebalance.start();
    await clock.settle();
    expect([shares, group.heartbeats]).toEqual([[], 1]);
    await rebalance.stop();
  });

  it('asks for nothing more once it is told to stop, even in the middle of a round', async () => {
    const { clock, group, rebalance, shares } = setUp(['me']);
    let answer = (): void => undefined;
    group.route = new Promise((resolve) => (answer = resolve));
    rebalance.start();
    await clock.settle();
    const stopped = rebalance.stop();
    answer();
    await stopped;
    expect([shares, group.asked, group.heartbeats]).toEqual([[], 0, 0]);
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
  });

  it('looks again every 20 s, and at once when it is told to', async () => {
    const { clock, rebalance, shares } = setUp(['me']);
    rebalance.start();
    await clock.advance(19_999);
    expect(shares).toHaveLength(1);
    await clock.advance(1);
    expect(shares).toHaveLength(2);
    await clock.advance(1_000);
    rebalance.trigger();
    await clock.settle();
    expect(shares).toHaveLength(3);
    await rebalance.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
