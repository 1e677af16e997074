import type { OutboxMetrics, OutboxSnapshot } from '../outbox/outbox-metrics.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { DELAY_BUCKETS, type MetricSet } from './metric-set.js';
import { SharedReading } from './shared-reading.js';
import type { TopicLabels } from './topic-labels.js';

const DESTINATION = ['connection', 'topic'] as const;
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];

/** What the relay of this instance does. */
export function countOutbox(
  set: MetricSet,
  events: RocketMQEvents,
  topics: TopicLabels,
  buckets: readonly number[],
): (() => void)[] {
  const sent = set.counter(
    'outbox_sent_messages_total',
    'Messages of the outbox the broker stored.',
    DESTINATION,
  );
  const request = set.histogram(
    'outbox_request_duration_seconds',
    'Time of a request of the relay, a message or a batch.',
    DESTINATION,
    buckets,
  );
  const batch = set.histogram(
    'outbox_batch_messages',
    'Messages in a request of the relay.',
    [],
    BATCH_BUCKETS,
  );
  const delay = set.histogram(
    'outbox_delivery_delay_seconds',
    'Time from writing a row to the acknowledgement of the broker.',
    [],
    DELAY_BUCKETS,
  );
  const settle = set.histogram(
    'outbox_settle_duration_seconds',
    'Time of the statement that removes acknowledged rows.',
    [],
    buckets,
  );
  const settled = set.counter('outbox_settled_messages_total', 'Rows removed after their acknowledgement.');
  const resent = set.counter(
    'outbox_resent_messages_total',
    'Rows that another instance had sent too: duplicates at the broker.',
  );
  const backoffs = set.counter('outbox_backoffs_total', 'Requests after which a topic paused.', DESTINATION);
  const parked = set.counter('outbox_parked_total', 'Rows put aside, to try again or dead.', [
    'topic',
    'state',
  ]);
  const replayed = set.counter('outbox_replayed_total', 'Parked rows an operator made due again.');
  const discarded = set.counter('outbox_discarded_total', 'Parked rows an operator deleted.');
  const lost = set.counter('outbox_lanes_lost_total', 'Lanes that went to another instance.');
  const errors = set.counter('outbox_errors_total', 'Failed statements of the relay.', ['phase']);
  return [
    events.on('outbox.dispatched', ({ connection = 'default', topic, count, sendMs, agesMs }) => {
      const labels = { connection, topic: topics.of(topic) };
      sent.inc(labels, count);
      request.observe(labels, sendMs / 1_000);
      batch.observe(count);
      for (const ageMs of agesMs) delay.observe(ageMs / 1_000);
    }),
    events.on('outbox.settled', ({ count, settleMs, stale }) => {
      settle.observe(settleMs / 1_000);
      settled.inc(count);
      resent.inc(stale);
    }),
    events.on('outbox.backoff', ({ connection = 'default', topic }) =>
      backoffs.inc({ connection, topic: topics.of(topic) }),
    ),
    events.on('outbox.parked', ({ topic, dueAt }) =>
      parked.inc({ topic: topics.of(topic), state: dueAt === undefined ? 'dead' : 'retrying' }),
    ),
    events.on('outbox.replayed', ({ count }) => replayed.inc(count)),
    events.on('outbox.discarded', ({ count }) => discarded.inc(count)),
    events.on('outbox.lanes', (event) => lost.inc(event.lost.length)),
    events.on('outbox.error', ({ phase }) => errors.inc({ phase })),
  ];
}

/** What is in the outbox. Read from the lanes and from statistics, never from the rows. */
export function measureOutbox(
  set: MetricSet,
  metrics: Pick<OutboxMetrics, 'snapshot' | 'local'>,
  options: { readonly timeoutMs: number; readonly onError: (error: unknown) => void },
): void {
  const reading = new SharedReading(() => metrics.snapshot(), options.timeoutMs, options.onError);
  const figure = (
    name: string,
    help: string,
    read: (snapshot: OutboxSnapshot) => number | undefined,
  ): void => {
    set.gauge(name, help, [], async (gauge) => {
      const snapshot = await reading.get();
      const value = snapshot && read(snapshot);
      if (value === undefined) gauge.remove();
      else gauge.set(value);
    });
  };
  set.gauge(
    'outbox_pending_messages',
    'Rows of a lane its owner has seen and not removed; a lower bound while outbox_pending_more is 1.',
    ['lane'],
    async (gauge) => {
      const snapshot = await reading.get();
      gauge.reset();
      for (const { lane, pending } of snapshot?.lanes ?? []) gauge.set({ lane }, pending);
    },
  );
  set.gauge(
    'outbox_parked_messages',
    'Rows put aside: `retrying` go out again by themselves, `dead` wait for an operator.',
    ['state'],
    async (gauge) => {
      const snapshot = await reading.get();
      gauge.reset();
      if (snapshot === undefined) return;
      gauge.set({ state: 'retrying' }, snapshot.retrying);
      gauge.set({ state: 'dead' }, snapshot.dead);
    },
  );
  figure('outbox_pending_more', '1 when there are more pending rows than counted.', ({ more }) =>
    more ? 1 : 0,
  );
  figure(
    'outbox_oldest_message_age_seconds',
    'Age of the oldest pending row, 0 when there is none.',
    ({ oldestAgeMs = 0 }) => oldestAgeMs / 1_000,
  );
  figure('outbox_unowned_lanes', 'Lanes nobody holds.', ({ unowned }) => unowned);
  figure('outbox_instances', 'Instances that share the lanes.', ({ instances }) => instances.length);
  figure(
    'outbox_estimated_rows',
    "Rows of the table by the database's statistics; absent where it keeps none.",
    ({ approximateRows }) => approximateRows,
  );
  set.gauge('outbox_owned_lanes', 'Lanes this instance holds.', [], (gauge) => {
    gauge.set(metrics.local.lanes.length);
  });
  set.gauge('outbox_memory_messages', 'Rows this instance holds in memory.', [], (gauge) => {
    gauge.set(metrics.local.rows);
  });
  set.gauge('outbox_memory_bytes', 'Bytes of their bodies.', [], (gauge) => {
    gauge.set(metrics.local.bytes);
  });
  set.gauge('outbox_in_flight', 'Requests of this instance under way.', [], (gauge) => {
    gauge.set(metrics.local.inFlight);
  });
}
