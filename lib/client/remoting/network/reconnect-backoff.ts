import type { Clock } from '../../clock.js';

/** Pause after the first failure in a row; it doubles with each further one. */
const FIRST_PAUSE_MS = 50;
/** Short enough that a broker that is back is used within about a second. */
const MAX_PAUSE_MS = 1_000;

interface Failures {
  readonly count: number;
  /** Monotonic milliseconds. */
  readonly notBefore: number;
  readonly error: Error;
}

/**
 * Keeps an address that does not answer from being tried with every single request. There is no connecting in the
 * background: the first request after the pause tries again, the ones during the pause fail at once, so that
 * their callers can turn to another broker.
 */
export class ReconnectBackoff {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(address: string, error: Error): void {
    const count = (this.#failures.get(address)?.count ?? 0) + 1;
    const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (count - 1));
    this.#failures.set(address, { count, notBefore: this.#clock.monotonic() + pause, error });
  }

  succeeded(address: string): void {
    this.#failures.delete(address);
  }

  /** Why the address must not be tried now; undefined when it may. */
  reason(address: string): { readonly error: Error; readonly waitMs: number } | undefined {
    const failures = this.#failures.get(address);
    if (failures === undefined) return undefined;
    const waitMs = failures.notBefore - this.#clock.monotonic();
    return waitMs > 0 ? { error: failures.error, waitMs: Math.ceil(waitMs) } : undefined;
  }
}
