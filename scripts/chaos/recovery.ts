import { setTimeout as delay } from 'node:timers/promises';
import type { ProgressReader } from './contract.js';

const POLL_MS = 250;
/** No committed message is older than this without having been handled: more than the application takes when it is well. */
export const CAUGHT_UP_MS = 2000;
/** So long it has to stay like that, or it had not noticed yet what was done to it. */
const HOLDS_MS = 4000;

export interface RecoveryOptions {
  readonly progress: ProgressReader;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Milliseconds from now until everything committed before was handled, new messages are committed and handled, and it
 * stays like that. Undefined when that takes longer than the limit.
 */
export async function recovery({ progress, limitMs, signal }: RecoveryOptions): Promise<number | undefined> {
  const begin = performance.now();
  let before: { readonly committed: number; readonly handled: number } | undefined;
  let caughtUpAfter: number | undefined;
  while (!signal.aborted) {
    const now = await progress.read();
    const elapsed = performance.now() - begin;
    if (now) before ??= now;
    const flows = now && before && now.committed > before.committed && now.handled > before.handled;
    if (flows && now.oldestUnhandledMs < Math.min(CAUGHT_UP_MS, elapsed)) {
      caughtUpAfter ??= elapsed;
      if (elapsed - caughtUpAfter >= HOLDS_MS) return caughtUpAfter;
    } else {
      caughtUpAfter = undefined;
      if (elapsed > limitMs) return undefined;
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}
