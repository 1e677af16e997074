import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MESSAGE_OVERHEAD_BYTES,
  ProcessQueue,
  type HeldMessage,
} from '../../../lib/client/consumer/process-queue.js';
import { pulled, pulledRange } from './held.js';

const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const anyMessage = (): boolean => true;

describe('ProcessQueue', () => {
  it('commits the lowest unfinished offset, not the highest finished one', () => {
    const queue = new ProcessQueue(QUEUE, 10);
    queue.put(pulledRange(10, 13), 13);
    const [first, second, third] = queue.take(3, anyMessage);
    queue.finish(third!);
    queue.finish(second!);
    expect(queue.committableOffset).toBe(10);
    queue.finish(first!);
    expect(queue.committableOffset).toBe(13);
  });

  it('commits past messages that the broker filtered out', () => {
    const queue = new ProcessQueue(QUEUE, 0);
    queue.put([pulled(4)], 20);
    expect(queue.nextOffset).toBe(20);
    expect(queue.committableOffset).toBe(4);
    const [held] = queue.take(1, anyMessage);
    queue.finish(held!);
    expect(queue.committableOffset).toBe(20);
    queue.skipTo(50);
    expect(queue.committableOffset).toBe(50);
  });

  it('never goes back', () => {
    const queue = new ProcessQueue(QUEUE, 100);
    queue.skipTo(7);
    expect(queue.put(pulledRange(95, 102), 90).map(({ offset }) => offset)).toEqual([100, 101]);
    expect(queue.nextOffset).toBe(102);
  });

  it('keeps every copy of a message that comes several times with one pull, and commits none before the last', () => {
    const queue = new ProcessQueue(QUEUE, 5);
    queue.put([pulled(4), pulled(5), pulled(5), pulled(6)], 7);
    const [first, copy, next] = queue.take(3, anyMessage);
    queue.finish(first!);
    queue.finish(next!);
    expect([queue.committableOffset, queue.count]).toEqual([5, 1]);
    queue.finish(copy!);
    expect(queue.committableOffset).toBe(7);
    expect(queue.put([pulled(6)], 7)).toEqual([]);
  });

  it('counts messages, the memory they take and the span of what is unfinished', () => {
    const queue = new ProcessQueue(QUEUE, 0);
    queue.put(pulledRange(0, 5), 5);
    const [a, b] = queue.take(2, anyMessage);
    queue.finish(b!);
    const each = 10 + MESSAGE_OVERHEAD_BYTES;
    expect([queue.count, queue.bytes, queue.span]).toEqual([4, 4 * each, 4]);
    queue.finish(a!);
    expect([queue.count, queue.bytes, queue.span]).toEqual([3, 3 * each, 2]);
  });

  it('lets go of the bodies of finished messages behind an unfinished one', async () => {
    const queue = new ProcessQueue(QUEUE, 0);
    const finishSecond = (): WeakRef<Buffer> => {
      queue.put(pulledRange(0, 2), 2);
      const [, second] = queue.take(2, anyMessage);
      queue.finish(second!);
      return new WeakRef(second!.stored.body);
    };
    const body = finishSecond();
    await new Promise(setImmediate);
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    expect(body.deref()).toBeUndefined();
    expect(queue.committableOffset).toBe(0);
  });

  it('hands out messages of one topic at a time, and steps over those refused', () => {
    const queue = new ProcessQueue({ ...QUEUE, topic: '%RETRY%g' }, 0);
    const retry = (offset: number, topic: string) =>
      pulled(offset, { topic: '%RETRY%g', properties: { RETRY_TOPIC: topic } });
    queue.put([retry(0, 'a'), retry(1, 'b'), retry(2, 'a'), retry(3, 'b')], 4);
    expect(queue.take(10, ({ topic }) => topic === 'b').map(({ offset }) => offset)).toEqual([1]);
    expect(queue.take(10, anyMessage).map(({ offset }) => offset)).toEqual([0, 2]);
    expect(queue.take(10, anyMessage).map(({ offset }) => offset)).toEqual([3]);
    expect(queue.hasWaiting).toBe(false);
  });

  it('in order, hands out nothing behind a refused message', () => {
    const queue = new ProcessQueue(QUEUE, 0);
    queue.put(pulledRange(0, 3), 3);
    expect(queue.take(2, ({ queueOffset }) => queueOffset !== 0, true)).toEqual([]);
    expect(queue.take(2, anyMessage, true).map(({ offset }) => offset)).toEqual([0, 1]);
  });

  it('hands out a message that was given back before those behind it', () => {
    const queue = new ProcessQueue(QUEUE, 0);
    queue.put(pulledRange(0, 4), 4);
    const [first, second] = queue.take(2, anyMessage);
    queue.giveBack(second!);
    queue.giveBack(first!);
    expect(queue.take(4, anyMessage).map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
  });

  it('does nothing once it is dropped', () => {
    const queue = new ProcessQueue(QUEUE, 0);
    queue.put(pulledRange(0, 3), 3);
    const [held] = queue.take(1, anyMessage);
    queue.drop();
    expect(queue.finish(held!)).toBe(false);
    expect(queue.take(1, anyMessage)).toEqual([]);
    expect(queue.put(pulledRange(3, 5), 5)).toEqual([]);
    queue.skipTo(99);
    expect(queue.committableOffset).toBe(0);
  });

  /** What may happen to a queue; numbers choose among what is there. */
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('pull' as const),
        kept: fc.array(fc.boolean(), { maxLength: 32 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('take' as const), max: fc.integer({ min: 1, max: 8 }) }),
    },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('give back' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('skip' as const), by: fc.nat({ max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('finish again' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant({ do: 'drop' as const }) },
  );

  it('never commits above an unfinished message, whatever the order of completions, retries and drops', () => {
    fc.assert(
      // oxlint-disable-next-line complexity -- one branch per action
      fc.property(fc.nat({ max: 1_000 }), fc.array(step, { maxLength: 400 }), (start, steps) => {
        const queue = new ProcessQueue(QUEUE, start);
        const unfinished = new Set<number>();
        const handed: HeldMessage[] = [];
        const finished: HeldMessage[] = [];
        let committed = start;
        for (const action of steps) {
          const droppedBefore = queue.dropped;
          switch (action.do) {
            case 'pull': {
              const from = queue.nextOffset;
              const batch = action.kept.flatMap((kept, index) => (kept ? [pulled(from + index)] : []));
              for (const held of queue.put(batch, from + action.kept.length)) unfinished.add(held.offset);
              break;
            }
            case 'take':
              handed.push(...queue.take(action.max, anyMessage));
              break;
            case 'finish': {
              const [held] = handed.splice(action.which % Math.max(handed.length, 1), 1);
              if (!held) break;
              if (queue.finish(held)) {
                unfinished.delete(held.offset);
                finished.push(held);
              } else {
                expect(droppedBefore).toBe(true);
              }
              break;
            }
            case 'give back': {
              const [held] = handed.splice(action.which % Math.max(handed.length, 1), 1);
              if (held) queue.giveBack(held);
              break;
            }
            case 'skip':
              queue.skipTo(queue.nextOffset + action.by);
              break;
            case 'finish again': {
              const held = finished[action.which % Math.max(finished.length, 1)];
              if (held) expect(queue.finish(held)).toBe(false);
              break;
            }
            case 'drop':
              queue.drop();
              break;
          }
          const committable = queue.committableOffset;
          for (const offset of unfinished) expect(committable).toBeLessThanOrEqual(offset);
          expect(committable).toBeGreaterThanOrEqual(committed);
          if (droppedBefore) expect(committable).toBe(committed);
          if (!queue.dropped) expect(queue.count).toBe(unfinished.size);
          committed = committable;
        }
        if (queue.dropped) return;
        // Nothing is forgotten: whatever is left can still be handed out, and then everything is committable.
        const rest = [...handed, ...queue.take(10_000, anyMessage)];
        expect(new Set(rest.map(({ offset }) => offset))).toEqual(unfinished);
        for (const held of rest) queue.finish(held);
        expect([queue.count, queue.bytes, queue.span]).toEqual([0, 0, 0]);
        expect(queue.committableOffset).toBe(queue.nextOffset);
      }),
      { numRuns: 500 },
    );
  });
});
