import type { Clock } from '../../clock.js';

/** Answer times in milliseconds and how long a broker that needs so much is passed over. Source: MQFaultStrategy. */
const LATENCY_STEPS: readonly { readonly fromMs: number; readonly avoidMs: number }[] = [
  { fromMs: 15_000, avoidMs: 30_000 },
  { fromMs: 5_000, avoidMs: 10_000 },
  { fromMs: 3_000, avoidMs: 6_000 },
  { fromMs: 1_800, avoidMs: 5_000 },
  { fromMs: 550, avoidMs: 2_000 },
];
/** What a failure counts as. Source: MQFaultStrategy, `isolation`. */
const FAILURE_COUNTS_AS_MS = 10_000;
/** A broker without connection is passed over this long at first, then twice as long, up to the longest. */
const FIRST_OUTAGE_MS = 500;
const LONGEST_OUTAGE_MS = 30_000;

interface Fault {
  /** On the monotonic clock. */
  until: number;
  /** Failed connections in a row. */
  outages: number;
}

/**
 * Which brokers to pass over for a while. Always: those that cannot be reached, since the name server takes up to
 * two minutes to notice a dead one. When latency-aware, as Java's `sendLatencyFaultEnable`: also those that answer
 * slowly or refuse. (Java: `MQFaultStrategy`, `LatencyFaultToleranceImpl`.)
 */
export class MQFaultStrategy {
  readonly #latencyAware: boolean;
  readonly #clock: Clock;
  readonly #faults = new Map<string, Fault>();

  constructor(latencyAware: boolean, clock: Clock) {
    this.#latencyAware = latencyAware;
    this.#clock = clock;
  }

  /** Whether answer times are wanted at all. */
  get latencyAware(): boolean {
    return this.#latencyAware;
  }

  isAvailable(brokerName: string): boolean {
    if (this.#faults.size === 0) return true;
    const fault = this.#faults.get(brokerName);
    return fault === undefined || fault.until <= this.#clock.monotonic();
  }

  answered(brokerName: string, latencyMs: number): void {
    const avoidMs = this.#latencyAware ? avoidance(latencyMs) : 0;
    if (avoidMs > 0) this.#faults.set(brokerName, { until: this.#clock.monotonic() + avoidMs, outages: 0 });
    else if (this.#faults.size > 0) this.#faults.delete(brokerName);
  }

  /** It answered, and refused. */
  refused(brokerName: string): void {
    this.answered(brokerName, FAILURE_COUNTS_AS_MS);
  }

  /** No connection, or no answer. */
  unreachable(brokerName: string): void {
    const now = this.#clock.monotonic();
    const fault = this.#faults.get(brokerName);
    // Many sends fail together when a connection breaks: that is one outage.
    if (fault !== undefined && fault.outages > 0 && fault.until > now) return;
    const outages = (fault?.outages ?? 0) + 1;
    const avoidMs = Math.min(FIRST_OUTAGE_MS * 2 ** (outages - 1), LONGEST_OUTAGE_MS);
    this.#faults.set(brokerName, { until: now + avoidMs, outages });
  }
}

function avoidance(latencyMs: number): number {
  for (const { fromMs, avoidMs } of LATENCY_STEPS) if (latencyMs >= fromMs) return avoidMs;
  return 0;
}
