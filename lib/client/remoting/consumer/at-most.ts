import type { Clock } from '../../clock.js';

/** Waits for something, but not longer. What it waited for goes on; it must not reject. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  let timer: unknown;
  const timeUp = new Promise<void>((resolve) => (timer = clock.setTimeout(resolve, ms)));
  await Promise.race([work, timeUp]);
  clock.clearTimeout(timer);
}
