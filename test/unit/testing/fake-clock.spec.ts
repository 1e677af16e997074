import { describe, expect, it } from 'vitest';
import { pause } from '../../../lib/client/clock.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

describe('the clock that is moved by hand', () => {
  it('stands still until it is moved', async () => {
    const clock = new FakeClock(new Date('2030-01-01T00:00:00Z'));
    expect([clock.now(), clock.monotonic()]).toEqual([Date.parse('2030-01-01T00:00:00Z'), 0]);
    await clock.advance(1_500);
    expect([clock.now(), clock.monotonic()]).toEqual([Date.parse('2030-01-01T00:00:01.500Z'), 1_500]);
  });

  it('fires timers at their times, in the order of times and then of setting', async () => {
    const clock = new FakeClock();
    const fired: string[] = [];
    const note = (name: string) => (): void => void fired.push(`${name}@${clock.monotonic()}`);
    clock.setTimeout(note('late'), 20);
    clock.setTimeout(note('first'), 10);
    clock.setTimeout(note('second'), 10);
    clock.clearTimeout(clock.setTimeout(note('cleared'), 5));
    await clock.advance(19);
    expect(fired).toEqual(['first@10', 'second@10']);
    expect([clock.pendingTimers, clock.untilNextTimer]).toEqual([1, 1]);
    await clock.advance(1);
    expect(fired).toEqual(['first@10', 'second@10', 'late@20']);
    expect([clock.pendingTimers, clock.untilNextTimer]).toEqual([0, undefined]);
  });

  it('fires timers that others set on the way, at the time they are due', async () => {
    const clock = new FakeClock();
    const times: number[] = [];
    const tick = async (): Promise<void> => {
      for (let count = 0; count < 5; count++) {
        await pause(clock, 10);
        times.push(clock.monotonic());
      }
    };
    const ticking = tick();
    await clock.advance(35);
    expect(times).toEqual([10, 20, 30]);
    await clock.advance(15);
    await ticking;
    expect(times).toEqual([10, 20, 30, 40, 50]);
  });

  it('goes from timer to timer', async () => {
    const clock = new FakeClock();
    let fired = 0;
    clock.setTimeout(() => fired++, 1_000);
    clock.setTimeout(() => fired++, 5_000);
    expect(await clock.advanceToNextTimer()).toBe(true);
    expect([fired, clock.monotonic()]).toEqual([1, 1_000]);
    await clock.advanceUntil(() => fired === 2);
    expect(clock.monotonic()).toBe(5_000);
    expect(await clock.advanceToNextTimer()).toBe(false);
  });

  it('says so when a condition cannot come true', async () => {
    const clock = new FakeClock();
    await expect(clock.advanceUntil(() => false)).rejects.toThrow(/no timer is left/);
    clock.setTimeout(() => undefined, 5_000);
    await expect(clock.advanceUntil(() => false, 1_000)).rejects.toThrow(/within 1000 ms/);
  });

  it('moves the wall clock without any time passing', async () => {
    const clock = new FakeClock();
    let fired = false;
    clock.setTimeout(() => (fired = true), 100);
    clock.setWallClock(5_000_000);
    expect([clock.now(), clock.monotonic(), fired]).toEqual([5_000_000, 0, false]);
    await clock.advance(100);
    expect([clock.now(), fired]).toEqual([5_000_100, true]);
  });
});
