import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { OUTBOX_DEFAULTS } from '../../../lib/outbox/outbox-options.js';
import { measureConnections } from '../../../lib/metrics/connection-metrics.js';
import { measureLag } from '../../../lib/metrics/consumer-lag.js';
import { countTransactions, measureInbox } from '../../../lib/metrics/database-metrics.js';
import { countHandling, measureListeners } from '../../../lib/metrics/listener-metrics.js';
import { MetricSet } from '../../../lib/metrics/metric-set.js';
import { countOutbox, measureOutbox } from '../../../lib/metrics/outbox-figures.js';
import { countSends } from '../../../lib/metrics/producer-metrics.js';
import { TopicLabels } from '../../../lib/metrics/topic-labels.js';
import { RocketMQEvents } from '../../../lib/observability/rocketmq-events.js';

const guide = readFileSync(new URL('../../../docs/guides/operations.md', import.meta.url), 'utf8');

/** Every metric there is, with its labels; nothing is scraped, so what they would read is not needed. */
async function everyMetric(): Promise<Map<string, readonly string[]>> {
  const registry = new Registry();
  const set = new MetricSet(registry, 'rocketmq_');
  const events = new RocketMQEvents();
  const options = { everyMs: 1, timeoutMs: 1, onError: () => undefined };
  const nothing = {} as never;
  const topics = new TopicLabels(1);
  countSends(set, events, topics, [1]);
  countHandling(set, events, [1]);
  measureListeners(set, nothing);
  measureLag(set, nothing, nothing, options);
  measureConnections(set, events, nothing);
  countOutbox(set, events, topics, [1]);
  measureOutbox(set, nothing, options);
  countTransactions(set, events, topics, [1]);
  measureInbox(set, events, nothing, options);
  return new Map(
    registry
      .getMetricsAsArray()
      .map((metric) => [metric.name, (metric as unknown as { labelNames: readonly string[] }).labelNames]),
  );
}

describe('the operations guide', () => {
  it('has a row for every metric, with its labels, and no other metric', async () => {
    const metrics = await everyMetric();
    expect(metrics.size).toBeGreaterThan(40);
    const rows = new Map(
      [...guide.matchAll(/^\| `(rocketmq_\w+)` \| ([^|]*)\|/gm)].map(([, name = '', labels = '']) => [
        name,
        labels
          .split(',')
          .map((label) => label.trim())
          .filter((label) => label !== ''),
      ]),
    );
    rows.delete('rocketmq_metrics_collect_errors_total');
    expect([...rows.keys()].sort()).toEqual([...metrics.keys()].sort());
    for (const [name, labels] of metrics) expect(rows.get(name), name).toEqual(labels);
  });

  it('asks in its alerts for metrics that exist', async () => {
    const known = [...(await everyMetric()).keys()];
    const [alerts = ''] = /```yaml\n([\s\S]*?)```/.exec(guide)?.slice(1) ?? [];
    const asked = [...alerts.matchAll(/rocketmq_\w+/g)].map(([name]) => name);
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('names every limit of the outbox', () => {
    const settings = new Set(['relay', 'tablePrefix', 'behindDead', 'ordering', 'history']);
    const limits = Object.keys(OUTBOX_DEFAULTS).filter((name) => !settings.has(name));
    expect(limits.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
  });
});
