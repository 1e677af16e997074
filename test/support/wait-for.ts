export interface WaitForOptions {
  /** Give up after this long, milliseconds. @default 45000 */
  readonly timeoutMs?: number;
  /** How often to look, milliseconds. @default 20 */
  readonly intervalMs?: number;
  /** What is waited for, or a function that describes the state when it never came: ends up in the error. */
  readonly describe?: string | (() => string);
}

/**
 * Waits until the condition gives something truthy and resolves with it. An error thrown by the condition counts
 * as "not yet" and becomes the cause of the failure.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 45_000, intervalMs = 20, describe = 'the condition' }: WaitForOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as NonNullable<Exclude<T, false>>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) {
      const what = typeof describe === 'function' ? describe() : describe;
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, { cause: lastError });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
