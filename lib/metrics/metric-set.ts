import { Counter, Gauge, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client';
import { RocketMQError } from '../message/rocketmq-error.js';

/** A registry of prom-client, in either text format. */
export type MetricsRegistry = Registry | Registry<OpenMetricsContentType>;

/** Upper bounds in seconds: from a round trip to the next broker to a handler that should not take that long. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
/** For what may wait for days: a delayed message, an outbox whose broker is away. */
export const DELAY_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600,
];

/** The metrics of one application in one registry: made with a common prefix, removed together. */
export class MetricSet {
  private readonly names: string[] = [];

  constructor(
    private readonly registry: MetricsRegistry,
    private readonly prefix: string,
  ) {}

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    const registers = [this.registry];
    return this.made(name, (own) => new Counter({ name: own, help, labelNames, registers }));
  }

  /** @param collect sets the values, with every scrape */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    const registers = [this.registry];
    return this.made(
      name,
      (own) =>
        new Gauge({
          name: own,
          help,
          labelNames,
          registers,
          collect() {
            return collect(this);
          },
        }),
    );
  }

  histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets: readonly number[] = DURATION_BUCKETS,
  ): Histogram<L> {
    const registers = [this.registry];
    return this.made(
      name,
      (own) => new Histogram({ name: own, help, labelNames, registers, buckets: [...buckets] }),
    );
  }

  /** Takes all of them out of the registry. */
  remove(): void {
    for (const name of this.names.splice(0)) this.registry.removeSingleMetric(name);
  }

  private made<M>(name: string, make: (name: string) => M): M {
    const own = this.prefix + name;
    if (this.registry.getSingleMetric(own) !== undefined) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `The Prometheus registry has a metric "${own}" already, perhaps of another application in this process. Give RocketMQMetricsModule.forRoot a registry or a prefix of its own.`,
      );
    }
    const metric = make(own);
    this.names.push(own);
    return metric;
  }
}
