import type { Idempotency } from '../idempotency/idempotency.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { MetricSet } from './metric-set.js';
import { SharedReading } from './shared-reading.js';
import type { TopicLabels } from './topic-labels.js';

/** Transactional messages: how they ended, and what the brokers asked. */
export function countTransactions(
  set: MetricSet,
  events: RocketMQEvents,
  topics: TopicLabels,
  buckets: readonly number[],
): (() => void)[] {
  const ended = set.counter(
    'transactions_total',
    'Local transactions of transactional messages, by outcome.',
    ['group', 'topic', 'outcome', 'via'],
  );
  const duration = set.histogram(
    'transaction_duration_seconds',
    'Time of a local transaction.',
    ['group', 'topic', 'outcome'],
    buckets,
  );
  const checks = set.counter(
    'transaction_checks_total',
    'Questions of brokers about half messages, by answer; `error` counts as unknown for the broker.',
    ['group', 'topic', 'answer'],
  );
  const errors = set.counter('transaction_errors_total', 'Failed commits, rollbacks and sweeps.', ['phase']);
  return [
    events.on('transaction.ended', ({ group, topic: sentTo, outcome, via, durationMs }) => {
      const topic = topics.of(sentTo);
      ended.inc({ group, topic, outcome, via });
      duration.observe({ group, topic, outcome }, durationMs / 1_000);
    }),
    events.on('transaction.checked', ({ group, topic, resolution, error }) =>
      checks.inc({ group, topic: topics.of(topic), answer: error === undefined ? resolution : 'error' }),
    ),
    events.on('transaction.error', ({ phase }) => errors.inc({ phase })),
  ];
}

/** The memory of idempotent listeners. Duplicates are counted with the listeners. */
export function measureInbox(
  set: MetricSet,
  events: RocketMQEvents,
  idempotency: Pick<Idempotency, 'approximateRows'>,
  options: { readonly timeoutMs: number; readonly onError: (error: unknown) => void },
): (() => void)[] {
  const reading = new SharedReading(() => idempotency.approximateRows(), options.timeoutMs, options.onError);
  set.gauge(
    'inbox_estimated_rows',
    "Messages remembered, by the database's statistics; absent where it keeps none.",
    [],
    async (gauge) => {
      const rows = await reading.get();
      if (rows === undefined) gauge.remove();
      else gauge.set(rows);
    },
  );
  const removed = set.counter('inbox_removed_total', 'Rows removed after their retention.');
  const errors = set.counter('inbox_errors_total', 'Failed sweeps and leases.', ['phase']);
  return [
    events.on('inbox.swept', (event) => removed.inc(event.removed)),
    events.on('inbox.error', ({ phase }) => errors.inc({ phase })),
  ];
}
