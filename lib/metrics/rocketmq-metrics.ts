import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { register } from 'prom-client';
import type { Idempotency } from '../idempotency/idempotency.js';
import { IDEMPOTENCY } from '../idempotency/idempotency.tokens.js';
import { RocketMQListenerRegistry } from '../listener/listener-registry.js';
import { RocketMQConnections } from '../module/rocketmq-connections.js';
import { applicationEvents } from '../observability/application-events.js';
import type { OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { measureConnections } from './connection-metrics.js';
import { measureLag } from './consumer-lag.js';
import { countTransactions, measureInbox } from './database-metrics.js';
import { countHandling, measureListeners } from './listener-metrics.js';
import { DURATION_BUCKETS, MetricSet, type MetricsRegistry } from './metric-set.js';
import type { RocketMQMetricsOptions } from './metrics-options.js';
import { MODULE_OPTIONS_TOKEN } from './metrics.module-definition.js';
import { countOutbox, measureOutbox } from './outbox-figures.js';
import { countSends } from './producer-metrics.js';
import { TopicLabels } from './topic-labels.js';

const DEFAULT_LAG_EVERY_MS = 15_000;
const DEFAULT_COLLECT_TIMEOUT_MS = 2_000;
const DEFAULT_MAX_TOPICS = 500;

/** The metrics of this application; inject it to answer a scrape. */
@Injectable()
export class RocketMQMetrics implements OnModuleInit, OnApplicationShutdown {
  /** Where they are, perhaps among others. */
  readonly registry: MetricsRegistry;
  private readonly set: MetricSet;
  private readonly ends: (() => void)[] = [];

  /** @internal made by the module */
  constructor(
    @Inject(ModuleRef) private readonly modules: ModuleRef,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: RocketMQMetricsOptions,
  ) {
    this.registry = options.registry ?? register;
    this.set = new MetricSet(this.registry, options.prefix ?? 'rocketmq_');
  }

  /** Of {@link text}. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** The whole registry, as Prometheus reads it. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  /**
   * For Nest: puts the metrics in place, all or none of them.
   * @throws RocketMQError `INVALID_CONFIGURATION` when a name is taken in the registry
   */
  onModuleInit(): void {
    try {
      this.begin();
    } catch (error) {
      // Nest closes no module that failed to start.
      this.end();
      throw error;
    }
  }

  /** For Nest: takes them out again, after everything else, so that the last shutdown is counted too. */
  onApplicationShutdown(): void {
    this.end();
  }

  private begin(): void {
    const { set, modules } = this;
    const {
      durationBuckets: buckets = DURATION_BUCKETS,
      lagEveryMs = DEFAULT_LAG_EVERY_MS,
      collectTimeoutMs: timeoutMs = DEFAULT_COLLECT_TIMEOUT_MS,
      maxTopics = DEFAULT_MAX_TOPICS,
    } = this.options;
    const events = applicationEvents(modules, 'RocketMQMetricsModule');
    const connections = modules.get(RocketMQConnections, { strict: false });
    const listeners = modules.get(RocketMQListenerRegistry, { strict: false });
    const outbox = modules.get<OutboxFeature | undefined>(OUTBOX_FEATURE, { strict: false });
    const idempotency = modules.get<Idempotency | undefined>(IDEMPOTENCY, { strict: false });
    const failures = set.counter(
      'metrics_collect_errors_total',
      'Figures a scrape had to leave out, because database or broker did not answer.',
      ['source'],
    );
    const collecting = (source: string) => ({ timeoutMs, onError: () => failures.inc({ source }) });

    const topics = new TopicLabels(maxTopics);
    this.ends.push(
      ...measureConnections(set, events, connections),
      ...countSends(set, events, topics, buckets),
      ...countHandling(set, events, buckets),
    );
    measureListeners(set, listeners);
    if (lagEveryMs !== false) {
      measureLag(set, listeners, connections, { everyMs: lagEveryMs, ...collecting('lag') });
    }
    if (outbox !== undefined) {
      this.ends.push(...countOutbox(set, events, topics, buckets));
      measureOutbox(set, outbox.metrics, collecting('outbox'));
    }
    if (idempotency !== undefined) {
      this.ends.push(...measureInbox(set, events, idempotency, collecting('inbox')));
    }
    this.ends.push(...countTransactions(set, events, topics, buckets));
  }

  private end(): void {
    for (const end of this.ends.splice(0)) end();
    this.set.remove();
  }
}
