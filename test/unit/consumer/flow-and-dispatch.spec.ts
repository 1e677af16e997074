import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../lib/client/clock.js';
import { delayLevelFor, scheduledLevel } from '../../../lib/client/consumer/delay-level.js';
import { FairDispatcher } from '../../../lib/client/consumer/fair-dispatcher.js';
import { FlowControl } from '../../../lib/client/consumer/flow-control.js';
import { MESSAGE_OVERHEAD_BYTES, ProcessQueue } from '../../../lib/client/consumer/process-queue.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { pulledRange } from './held.js';

/** What one of the messages here takes. */
const EACH = 10 + MESSAGE_OVERHEAD_BYTES;

const newQueue = (queueId: number): ProcessQueue =>
  new ProcessQueue({ topic: 'orders', brokerName: 'broker-a', queueId }, 0);

/** Messages have 10 bytes. */
const fill = (queue: ProcessQueue, count: number): void => {
  queue.put(pulledRange(queue.nextOffset, queue.nextOffset + count), 0);
};
const finish = (queue: ProcessQueue, count: number): void => {
  for (const held of queue.take(count, () => true)) queue.finish(held);
};

describe('flow control', () => {
  function setUp(limits: Partial<{ maxMessages: number; maxBytes: number; maxSpan: number }>) {
    const queues = [newQueue(0), newQueue(1)];
    const paused = new Set<ProcessQueue>();
    const flow = new FlowControl(
      { maxMessages: Infinity, maxBytes: Infinity, maxSpan: Infinity, ...limits },
      () => queues,
      (queue) => paused.has(queue),
    );
    const room = async (queue: ProcessQueue): Promise<boolean> => {
      const waiting = flow.room(queue);
      if (waiting === undefined) return true;
      const passed = await Promise.race([
        waiting.then(() => true),
        new Promise<false>((r) => setImmediate(r, false)),
      ]);
      return passed;
    };
    return { a: queues[0]!, b: queues[1]!, flow, room, paused };
  }

  it('holds a queue back at its limit of messages, and only that one', async () => {
    const { a, b, flow, room } = setUp({ maxMessages: 10 });
    fill(a, 10);
    expect([await room(a), await room(b)]).toEqual([false, true]);
    expect(flow.holdsBack).toBe(true);
    finish(a, 1);
    flow.roomMade();
    expect([await room(a), flow.holdsBack]).toEqual([true, false]);
  });

  it('holds a queue back when one slow message would let the offsets run apart', async () => {
    const { a, room } = setUp({ maxSpan: 5 });
    fill(a, 6);
    const [slow, ...others] = a.take(6, () => true);
    for (const held of others) a.finish(held);
    expect([a.count, await room(a)]).toEqual([1, false]);
    a.finish(slow!);
    expect(await room(a)).toBe(true);
  });

  it('shares the limit of bytes among all queues, but never starves an empty one', async () => {
    const { a, b, flow, room } = setUp({ maxBytes: 10 * EACH });
    fill(a, 9);
    expect(await room(a)).toBe(true);
    expect(await room(b)).toBe(true);
    fill(b, 1);
    expect([await room(a), await room(b)]).toEqual([false, false]);
    finish(b, 1);
    fill(a, 50);
    expect([await room(a), await room(b)]).toEqual([false, true]);
    finish(a, 50);
    flow.roomMade();
    expect(await room(a)).toBe(true);
  });

  it('sums up the bytes once when room was made, however many queues wait', () => {
    const queues = Array.from({ length: 50 }, (_, queueId) => newQueue(queueId));
    let sums = 0;
    const flow = new FlowControl(
      { maxMessages: Infinity, maxBytes: 10 * EACH, maxSpan: Infinity },
      () => {
        sums++;
        return queues;
      },
      () => false,
    );
    for (const queue of queues) fill(queue, 10);
    for (const queue of queues) void flow.room(queue);
    sums = 0;
    flow.roomMade();
    expect([sums, flow.holdsBack]).toEqual([1, true]);
    for (const queue of queues) finish(queue, 9);
    finish(queues[0]!, 1);
    for (const queue of queues.slice(1, 42)) finish(queue, 1);
    flow.roomMade();
    expect([sums, flow.holdsBack]).toEqual([2, false]);
  });

  it('holds paused topics back until they are resumed', async () => {
    const { a, flow, room, paused } = setUp({});
    paused.add(a);
    expect(await room(a)).toBe(false);
    paused.delete(a);
    flow.roomMade();
    expect(await room(a)).toBe(true);
  });

  it('lets go of a queue that is no longer pulled', async () => {
    const { a, flow, paused } = setUp({});
    paused.add(a);
    const waiting = flow.room(a);
    flow.release(a);
    await waiting;
    expect(flow.holdsBack).toBe(false);
  });
});

describe('fair dispatch', () => {
  function setUp(limit: number) {
    const begun: number[] = [];
    const running: (() => void)[] = [];
    const dispatcher = new FairDispatcher(limit, systemClock, (queue) => {
      const [held] = queue.take(1, () => true);
      if (!held) return false;
      begun.push(queue.queue.queueId);
      running.push(() => {
        queue.finish(held);
        dispatcher.ended();
      });
      return true;
    });
    return { dispatcher, begun, running };
  }

  it('runs at most so many calls, one queue after the other', () => {
    const { dispatcher, begun, running } = setUp(2);
    const queues = [newQueue(0), newQueue(1), newQueue(2)];
    for (const queue of queues) fill(queue, 3);
    for (const queue of queues) dispatcher.offer(queue);
    expect(begun).toEqual([0, 0]);
    while (running.length > 0) {
      expect(running.length).toBeLessThanOrEqual(2);
      running.shift()!();
    }
    // The first queue was back in line before the others had come.
    expect(begun).toEqual([0, 0, 0, 1, 2, 1, 2, 1, 2]);
  });

  it('lets the event loop have its turn however quickly handlers end', async () => {
    let turns = 0;
    const queue = newQueue(0);
    fill(queue, 1_000);
    const dispatcher = new FairDispatcher(1, systemClock, (processQueue) => {
      const [held] = processQueue.take(1, () => true);
      if (!held) return false;
      queueMicrotask(() => {
        processQueue.finish(held);
        dispatcher.ended();
      });
      return true;
    });
    dispatcher.offer(queue);
    while (queue.count > 0) {
      await new Promise(setImmediate);
      turns++;
    }
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('has its turns from a clock that knows only time, as the simulator does', async () => {
    const clock = new FakeClock();
    const queue = newQueue(0);
    fill(queue, 600);
    const dispatcher: FairDispatcher = new FairDispatcher(1_000, clock, (processQueue) => {
      finish(processQueue, 1);
      queueMicrotask(() => dispatcher.ended());
      return true;
    });
    dispatcher.offer(queue);
    expect(queue.count).toBe(600 - 256);
    await clock.settle();
    expect(queue.count).toBe(600 - 256);
    await clock.advance(0);
    expect(queue.count).toBe(0);
    dispatcher.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('begins nothing after it was closed', () => {
    const { dispatcher, begun, running } = setUp(1);
    const queue = newQueue(0);
    fill(queue, 2);
    dispatcher.offer(queue);
    dispatcher.close();
    running[0]!();
    dispatcher.offer(queue);
    expect(begun).toEqual([0]);
  });
});

describe('delay levels', () => {
  it.each([
    [0, 1],
    [1_000, 1],
    [1_001, 2],
    [10_000, 3],
    [3_600_000, 17],
    [7_200_000, 18],
    [999_999_999, 18],
  ])('for %i ms takes level %i, the smallest that is not shorter', (delayMs, level) => {
    expect(delayLevelFor(delayMs)).toBe(level);
  });

  it('rise by one with each redelivery, from 10 s on', () => {
    expect([0, 1, 15, 40].map(scheduledLevel)).toEqual([3, 4, 18, 18]);
  });
});
