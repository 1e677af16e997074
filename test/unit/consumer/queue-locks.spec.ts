import { describe, expect, it } from 'vitest';
import { ConsumerReports } from '../../../lib/client/consumer/consumer-reports.js';
import { ProcessQueue } from '../../../lib/client/consumer/process-queue.js';
import { QueueLocks } from '../../../lib/client/consumer/queue-locks.js';
import type { MessageQueue } from '../../../lib/message/message.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const queue = (queueId: number): MessageQueue => ({ topic: 'orders', brokerName: 'broker-a', queueId });

/** A broker that grants what nobody else holds, unless it is away. */
class LockingBroker {
  readonly others = new Set<number>();
  readonly requests: string[] = [];
  away = false;
  /** Holds answers back. */
  hold: Promise<void> | undefined;

  readonly lockQueues = async (_broker: string, queues: readonly MessageQueue[]): Promise<MessageQueue[]> => {
    this.requests.push(`lock ${queues.map(({ queueId }) => queueId).join()}`);
    await this.hold;
    if (this.away) throw new Error('away');
    return queues.filter(({ queueId }) => !this.others.has(queueId));
  };

  readonly unlockQueues = async (_broker: string, queues: readonly MessageQueue[]): Promise<void> => {
    this.requests.push(`unlock ${queues.map(({ queueId }) => queueId).join()}`);
    if (this.away) throw new Error('away');
  };
}

/** Lets time pass without any timer firing in between, as a suspended process sees it. */
class SleepingClock extends FakeClock {
  #slept = 0;

  override monotonic(): number {
    return super.monotonic() + this.#slept;
  }

  sleep(ms: number): void {
    this.#slept += ms;
  }
}

async function setUp() {
  const clock = new SleepingClock();
  const broker = new LockingBroker();
  const lost: { queueId: number; at: number }[] = [];
  const locks = new QueueLocks(broker, clock, new ConsumerReports('group', () => undefined), (processQueue) =>
    lost.push({ queueId: processQueue.queue.queueId, at: clock.monotonic() }),
  );
  const own = async (queueId: number): Promise<ProcessQueue> => {
    const processQueue = new ProcessQueue(queue(queueId), 0);
    locks.keep(processQueue, (await locks.lock(processQueue.queue))!);
    return processQueue;
  };
  return { clock, broker, lost, locks, own };
}

describe('queue locks', () => {
  it('are refused while another member holds them', async () => {
    const { broker, locks } = await setUp();
    broker.others.add(0);
    expect(await locks.lock(queue(0))).toBeUndefined();
    expect(await locks.lock(queue(1))).toBeGreaterThan(0);
  });

  it('are renewed together, every 20 s, and so never expire', async () => {
    const { clock, broker, lost, locks, own } = await setUp();
    const held = [await own(0), await own(1)];
    broker.requests.length = 0;
    for (let second = 0; second < 120; second++) {
      expect(held.every((processQueue) => locks.isHeld(processQueue))).toBe(true);
      await clock.advance(1_000);
    }
    expect(broker.requests).toEqual(Array.from({ length: 6 }, () => 'lock 0,1'));
    expect(lost).toEqual([]);
  });

  it('are lost when the broker gave them to another member', async () => {
    const { clock, broker, lost, locks, own } = await setUp();
    const first = await own(0);
    const second = await own(1);
    broker.others.add(0);
    await clock.advance(20_000);
    expect(lost).toEqual([{ queueId: 0, at: 20_000 }]);
    expect([locks.isHeld(first), locks.isHeld(second)]).toEqual([false, true]);
  });

  it('count no longer after 30 s without an answer, half the time the broker keeps them', async () => {
    const { clock, broker, lost, locks, own } = await setUp();
    const held = await own(0);
    broker.away = true;
    await clock.advance(29_999);
    expect(locks.isHeld(held)).toBe(true);
    await clock.advance(1);
    expect(locks.isHeld(held)).toBe(false);
    await clock.advance(5_000);
    expect(lost).toHaveLength(1);
    expect(lost[0]!.at).toBeLessThan(35_000);
  });

  it('survive a broker that is away for a while', async () => {
    const { clock, broker, lost, locks, own } = await setUp();
    const held = await own(0);
    broker.away = true;
    await clock.advance(25_000);
    broker.away = false;
    await clock.advance(60_000);
    expect([locks.isHeld(held), lost]).toEqual([true, []]);
  });

  it('that had expired before they were renewed are lost: another member may have had the queue in between', async () => {
    const { clock, lost, locks, own } = await setUp();
    const held = await own(0);
    // The process slept: the timer of the renewal comes much too late.
    clock.sleep(45_000);
    await clock.advance(20_000);
    expect([locks.isHeld(held), lost.map(({ queueId }) => queueId)]).toEqual([false, [0]]);
  });

  it('count from when they were asked for, not from the answer', async () => {
    const { clock, broker, locks } = await setUp();
    let answer: () => void = () => undefined;
    broker.hold = new Promise((resolve) => (answer = resolve));
    const asking = locks.lock(queue(0));
    await clock.advance(10_000);
    answer();
    expect(await asking).toBe(30_000);
  });

  it('that were given up while a renewal was under way are unlocked again', async () => {
    const { clock, broker, locks, own } = await setUp();
    const held = await own(0);
    await own(1);
    let answer: () => void = () => undefined;
    broker.hold = new Promise((resolve) => (answer = resolve));
    await clock.advance(20_000);
    await locks.unlock([held]);
    broker.requests.length = 0;
    answer();
    await clock.settle();
    expect(broker.requests).toEqual(['unlock 0']);
    expect(locks.isHeld(held)).toBe(false);
  });

  it('leave no timer behind', async () => {
    const { clock, locks, own } = await setUp();
    await own(0);
    locks.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
