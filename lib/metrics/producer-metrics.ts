import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { MetricSet } from './metric-set.js';
import type { TopicLabels } from './topic-labels.js';

const LABELS = ['connection', 'topic', 'result'] as const;

/** Everything that was sent, by template, outbox relay and transactions alike. One-way sends have no answer to count. */
export function countSends(
  set: MetricSet,
  events: RocketMQEvents,
  topics: TopicLabels,
  buckets: readonly number[],
): (() => void)[] {
  const messages = set.counter('producer_messages_total', 'Messages sent, or given up, by topic.', LABELS);
  const duration = set.histogram(
    'producer_send_duration_seconds',
    'Time of a send over all its attempts; of a batch, for each of its messages.',
    LABELS,
    buckets,
  );
  return [
    events.on('message.sent', ({ connection, topic, durationMs }) => {
      const labels = { connection, topic: topics.of(topic), result: 'sent' };
      messages.inc(labels);
      duration.observe(labels, durationMs / 1_000);
    }),
    events.on('message.send-failed', ({ connection, topic, count, durationMs }) => {
      const labels = { connection, topic: topics.of(topic), result: 'failed' };
      messages.inc(labels, count);
      duration.observe(labels, durationMs / 1_000);
    }),
  ];
}
