import { waitFor } from '../../support/wait-for.js';

/** End-to-end flows take a second or two, and much longer on a machine that is busy with other tests. */
const PATIENCE_MS = 90_000;

/** Waits for something truthy; the error names what did not happen. */
export function eventually<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
): Promise<NonNullable<Exclude<T, false>>> {
  return waitFor(look, { timeoutMs: PATIENCE_MS, intervalMs: 50, describe: what });
}
