import { describe, expect, it } from 'vitest';
import { Lane, type PendingRow } from '../../../lib/outbox/lane.js';
import type { OutboxRow } from '../../../lib/outbox/outbox-row.js';
import { SendQueue } from '../../../lib/outbox/send-queue.js';

const lane = new Lane(0, 1, Infinity);
const pending = (id: number): PendingRow => ({
  row: { id } as OutboxRow,
  lane,
  phase: 'waiting',
  alone: false,
  seenAt: 0,
});
const drain = (queue: SendQueue): number[] => {
  const ids: number[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) ids.push(next.row.id);
  return ids;
};

describe('a queue of rows to send', () => {
  it('sorts a row that came late into its place when order matters', () => {
    const queue = new SendQueue('k', true);
    for (const id of [3, 7, 9, 5, 4]) queue.add(pending(id));
    expect(drain(queue)).toEqual([3, 4, 5, 7, 9]);
  });

  it('keeps the order of arrival when it does not', () => {
    const queue = new SendQueue('t', false);
    for (const id of [3, 9, 5]) queue.add(pending(id));
    expect(drain(queue)).toEqual([3, 9, 5]);
  });

  it('takes rows back to the front', () => {
    const queue = new SendQueue('k', true);
    for (const id of [1, 2, 3]) queue.add(pending(id));
    const first = queue.shift();
    queue.putBack(first ? [first] : []);
    expect(queue.length).toBe(3);
    expect(drain(queue)).toEqual([1, 2, 3]);
  });

  it('lets go of what it handed out, however much goes through it', () => {
    const queue = new SendQueue('t', false);
    for (let id = 0; id < 5_000; id += 1) {
      queue.add(pending(id));
      expect(queue.shift()?.row.id).toBe(id);
    }
    expect(queue.length).toBe(0);
  });
});
