import { setMaxListeners } from 'node:events';

import { describe, expect, it } from 'vitest';

import { systemClock } from '../../../../lib/client/clock.js';
import { InFlightLimit } from '../../../../lib/client/remoting/producer/in-flight-limit.js';
import { RocketMQError } from '../../../../lib/message/rocketmq-error.js';

describe('InFlightLimit', () => {
  const later = () => systemClock.monotonic() + 60_000;
  const limit = (max: number, whenFull: 'wait' | 'throw' = 'wait') =>
    new InFlightLimit(max, whenFull, systemClock);

  it('lets so many in and the others in the order they came', async () => {
    const room = limit(2);
    const order: number[] = [];
    await room.enter(1, later());
    await room.enter(1, later());
    const waiting = [1, 2, 3].map((n) => room.enter(1, later()).then(() => order.push(n)));
    expect(room.tryEnter(1)).toBe(false);

    room.leave(1);
    room.leave(1);
    room.leave(0);
    await waiting[1];
    expect(order).toEqual([1, 2]);
    room.leave(1);
    await waiting[2];
    expect(order).toEqual([1, 2, 3]);
    expect(room.count).toBe(2);
  });

  it('does not let a newcomer overtake somebody who waits for more room', async () => {
    const room = limit(10);
    await room.enter(8, later());
    const large = room.enter(5, later());
    expect(room.tryEnter(1)).toBe(false);
    room.leave(8);
    await large;
    expect(room.tryEnter(1)).toBe(true);
    expect(room.count).toBe(6);
  });

  it('lets a batch larger than the limit go alone', () => {
    const room = limit(10);
    expect(room.weightOf(32)).toBe(10);
    expect(room.weightOf(3)).toBe(3);
  });

  it('refuses at once when told to', async () => {
    const room = limit(1, 'throw');
    await room.enter(1, later());
    await expect(room.enter(1, later())).rejects.toMatchObject({
      code: 'TOO_MANY_IN_FLIGHT',
      retryable: true,
    });
  });

  it('gives up at the deadline, and the next one gets its place', async () => {
    const room = limit(1);
    await room.enter(1, later());
    const impatient = room.enter(1, systemClock.monotonic() + 10);
    const patient = room.enter(1, later());
    await expect(impatient).rejects.toMatchObject({ code: 'TOO_MANY_IN_FLIGHT' });
    room.leave(1);
    await patient;
    expect(room.count).toBe(1);
  });

  it('gives up when the caller aborts, before or while it waits', async () => {
    const room = limit(1);
    await room.enter(1, later());
    const abort = new AbortController();
    const waiting = room.enter(1, later(), abort.signal);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') });
    await expect(room.enter(1, later(), abort.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(room.count).toBe(1);
  });

  it('rejects who waits when it is closed, and tells when nothing is left', async () => {
    const room = limit(1);
    await room.enter(1, later());
    const waiting = expect(room.enter(1, later())).rejects.toMatchObject({ code: 'CLOSED' });
    room.close(new RocketMQError('CLOSED', 'closed'));
    await waiting;
    let idle = false;
    const whenIdle = room.whenIdle().then(() => (idle = true));
    await Promise.resolve();
    expect(idle).toBe(false);
    room.leave(1);
    await whenIdle;
    await room.whenIdle();
  });

  it('keeps count over ten thousand who wait, some of whom give up', async () => {
    const room = limit(7);
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    let inside = 0;
    let most = 0;
    const work = async (index: number): Promise<void> => {
      const weight = 1 + (index % 3);
      await room.enter(weight, later(), index % 11 === 0 ? abort.signal : undefined);
      inside += weight;
      most = Math.max(most, inside);
      await Promise.resolve();
      inside -= weight;
      room.leave(weight);
    };
    const all = Promise.allSettled(Array.from({ length: 10_000 }, (_, index) => work(index)));
    abort.abort();
    const results = await all;
    expect(most).toBeLessThanOrEqual(7);
    expect(room.count).toBe(0);
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    expect(results.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(910);
  });
});
