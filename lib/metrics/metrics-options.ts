import type { MetricsRegistry } from './metric-set.js';

/** Options of `RocketMQMetricsModule.forRoot`. */
export interface RocketMQMetricsOptions {
  /**
   * Where the metrics go. Several applications in one process need one each.
   * @default the global registry of prom-client
   */
  readonly registry?: MetricsRegistry;
  /** In front of every name. @default 'rocketmq_' */
  readonly prefix?: string;
  /** Upper bounds of the duration histograms, seconds. @default 1 ms to 60 s */
  readonly durationBuckets?: readonly number[];
  /**
   * How old the consumer lag may be, milliseconds: a scrape that finds it older asks the brokers, with a few requests
   * per group and topic. `false` leaves it out. @default 15000
   */
  readonly lagEveryMs?: number | false;
  /** How long a scrape waits for database and brokers before it leaves their figures out, milliseconds. @default 2000 */
  readonly collectTimeoutMs?: number;
  /**
   * Values of the label `topic` of sent messages, whether by template, outbox or transaction; what exceeds them is
   * counted under `other`. @default 500
   */
  readonly maxTopics?: number;
}
