import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { HandlerWatch } from '../../../lib/listener/handler-watch.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

describe('the watch over handlers', () => {
  it('looks at them in its own context, not in that of the message that was first', async () => {
    const message = new AsyncLocalStorage<string>();
    const clock = new FakeClock();
    const watch = new HandlerWatch(clock, 1_000);
    const seen: unknown[] = [];
    const call = (deadline: number) => ({
      deadline,
      expire(): void {
        seen.push(message.getStore());
        watch.remove(this);
      },
    });
    // Timers go on in the context they were set in.
    await message.run('first', async () => {
      watch.add(call(1_000));
      watch.add(call(5_000));
      await clock.advance(6_000);
    });
    expect(seen).toEqual([undefined, undefined]);
    expect(clock.pendingTimers).toBe(0);
  });
});
