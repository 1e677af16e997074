import type { Clock, ClockTimer } from '../client/clock.js';

/** The pause of a topic whose broker is away: doubles with every failed attempt, with full jitter. */
export class DestinationHold {
  private attempts = 0;
  private until = 0;
  private changedAt = -Infinity;
  private timer: ClockTimer;
  /** A single message is on its way to find out whether the broker is back. */
  probing = false;

  constructor(
    private readonly clock: Clock,
    private readonly random: () => number,
    private readonly bounds: { readonly minMs: number; readonly maxMs: number },
    /** Called when it is time to try again. */
    private readonly onDue: () => void,
  ) {}

  /** Whether nothing may be sent now. */
  get closed(): boolean {
    return this.probing || this.clock.monotonic() < this.until;
  }

  /** A send failed that began at this moment. Returns the pause, or undefined when this failure is old news. */
  failed(startedAt: number): number | undefined {
    if (startedAt < this.changedAt) return undefined; // and what is probing goes on
    this.probing = false;
    const { minMs, maxMs } = this.bounds;
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(this.attempts, 30));
    const delay = Math.max(Math.min(minMs, 10), this.random() * ceiling);
    this.attempts += 1;
    this.changedAt = this.clock.monotonic();
    this.until = this.changedAt + delay;
    this.stop();
    this.timer = this.clock.setTimeout(this.onDue, delay);
    return delay;
  }

  stop(): void {
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }
}
