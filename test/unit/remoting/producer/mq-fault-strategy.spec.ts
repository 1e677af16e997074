import { describe, expect, it } from 'vitest';

import type { Clock } from '../../../../lib/client/clock.js';
import { MQFaultStrategy } from '../../../../lib/client/remoting/producer/mq-fault-strategy.js';
import { PublishTopic } from '../../../../lib/client/remoting/producer/publish-topics.js';

describe('choosing a broker', () => {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  };
  const faults = (latencyAware = false) => {
    now = 0;
    return new MQFaultStrategy(latencyAware, clock);
  };
  const queues = ['a', 'b', 'c'].flatMap((brokerName) =>
    [0, 1].map((queueId) => ({ topic: 't', brokerName, queueId })),
  );
  const brokersOf = (topic: PublishTopic, strategy: MQFaultStrategy, count = 30) =>
    new Set(Array.from({ length: count }, () => topic.nextQueue(strategy).brokerName));

  it('takes every queue in turn', () => {
    const topic = new PublishTopic('t', 't', queues);
    const strategy = faults();
    const seen = Array.from({ length: 60 }, () => JSON.stringify(topic.nextQueue(strategy)));
    for (const queue of queues) {
      expect(seen.filter((text) => text === JSON.stringify(queue))).toHaveLength(10);
    }
  });

  it('starts somewhere else each time', () => {
    const strategy = faults();
    const firsts = new Set(
      Array.from({ length: 100 }, () =>
        JSON.stringify(new PublishTopic('t', 't', queues).nextQueue(strategy)),
      ),
    );
    expect(firsts.size).toBeGreaterThan(1);
  });

  it('avoids the broker tried last, unless it is the only one', () => {
    const strategy = faults();
    const topic = new PublishTopic('t', 't', queues);
    for (let count = 0; count < 30; count++) expect(topic.nextQueue(strategy, 'b').brokerName).not.toBe('b');
    const lonely = new PublishTopic('t', 't', [queues[0]!]);
    expect(lonely.nextQueue(strategy, 'a')).toEqual(queues[0]);
  });

  it('passes over an unreachable broker, for longer with every outage, until it answers', () => {
    const strategy = faults();
    const topic = new PublishTopic('t', 't', queues);
    const outages: number[] = [];
    for (let outage = 0; outage < 8; outage++) {
      const since = now;
      // Many sends fail with one outage.
      for (let count = 0; count < 100; count++) strategy.unreachable('b');
      expect(brokersOf(topic, strategy)).toEqual(new Set(['a', 'c']));
      while (!strategy.isAvailable('b')) now += 100;
      outages.push(now - since);
    }
    expect(outages).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    strategy.answered('b', 0);
    strategy.unreachable('b');
    now += 500;
    expect(strategy.isAvailable('b')).toBe(true);
  });

  it('takes an unreachable broker rather than none', () => {
    const strategy = faults();
    const topic = new PublishTopic('t', 't', queues);
    for (const broker of ['a', 'b', 'c']) strategy.unreachable(broker);
    expect(brokersOf(topic, strategy).size).toBe(3);
    expect(topic.nextQueue(strategy, 'a').brokerName).not.toBe('a');
  });

  it.each([
    [549, 0],
    [550, 2_000],
    [1_800, 5_000],
    [3_000, 6_000],
    [5_000, 10_000],
    [15_000, 30_000],
  ])('latency-aware: an answer after %i ms costs a pause of %i ms, as in Java', (latency, avoidance) => {
    const strategy = faults(true);
    strategy.answered('a', latency);
    expect(strategy.isAvailable('a')).toBe(avoidance === 0);
    now = avoidance;
    expect(strategy.isAvailable('a')).toBe(true);
    strategy.answered('a', latency);
    strategy.answered('a', 1);
    expect(strategy.isAvailable('a')).toBe(true);
  });

  it('is not impressed by slow answers and refusals unless it is latency-aware', () => {
    const strategy = faults();
    strategy.answered('a', 10_000);
    strategy.refused('a');
    expect(strategy.isAvailable('a')).toBe(true);
    const aware = faults(true);
    aware.refused('a');
    expect(aware.isAvailable('a')).toBe(false);
  });
});
