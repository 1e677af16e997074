import type { ListenerState } from '../listener/listener-container.js';
import type { RocketMQListenerRegistry } from '../listener/listener-registry.js';
import type { MessageEvent, RocketMQEvents } from '../observability/rocketmq-events.js';
import { DELAY_BUCKETS, type MetricSet } from './metric-set.js';

const LABELS = ['connection', 'listener', 'group', 'topic'] as const;
const STATES: readonly (ListenerState | 'disabled')[] = [
  'running',
  'paused',
  'starting',
  'stopping',
  'stopped',
  'failed',
  'disabled',
];

function labelsOf({
  connection,
  listener,
  group,
  topic,
}: MessageEvent): Record<(typeof LABELS)[number], string> {
  return { connection, listener, group, topic };
}

/** What listeners did with their messages. */
export function countHandling(
  set: MetricSet,
  events: RocketMQEvents,
  buckets: readonly number[],
): (() => void)[] {
  const messages = set.counter(
    'listener_messages_total',
    'Deliveries by what became of them: handled, retried, rejected or exhausted (dead letters), dropped.',
    [...LABELS, 'outcome'],
  );
  const duration = set.histogram(
    'listener_duration_seconds',
    'Time of guards, interceptors, pipes and handler.',
    [...LABELS, 'result'],
    buckets,
  );
  const delay = set.histogram(
    'listener_delivery_delay_seconds',
    'Time from the broker storing a message to its delivery; clocks of broker and application must agree.',
    LABELS,
    DELAY_BUCKETS,
  );
  const duplicates = set.counter(
    'listener_duplicates_total',
    'Messages acknowledged without running the handler, because their effect exists.',
    LABELS,
  );
  const timeouts = set.counter(
    'listener_timeouts_total',
    'Handlers that ran longer than their timeout.',
    LABELS,
  );
  const settled =
    (outcome: string, result: 'handled' | 'failed') =>
    (event: MessageEvent & { readonly durationMs: number }): void => {
      const labels = labelsOf(event);
      messages.inc({ ...labels, outcome });
      duration.observe({ ...labels, result }, event.durationMs / 1_000);
    };
  return [
    events.on('message.handled', settled('handled', 'handled')),
    events.on('message.retried', settled('retried', 'failed')),
    events.on('message.rejected', settled('rejected', 'failed')),
    events.on('message.exhausted', settled('exhausted', 'failed')),
    events.on('message.dropped', settled('dropped', 'failed')),
    events.on('message.received', (event) => delay.observe(labelsOf(event), event.lagMs / 1_000)),
    events.on('message.duplicate', (event) => duplicates.inc(labelsOf(event))),
    events.on('message.timeout', (event) => timeouts.inc(labelsOf(event))),
  ];
}

/** What listeners are doing now; read from the registry with every scrape, nothing is asked over the network. */
export function measureListeners(set: MetricSet, registry: Pick<RocketMQListenerRegistry, 'list'>): void {
  // A disabled listener has no consumer, so it says nothing about the one its group may have.
  const consuming = () => registry.list().filter(({ state }) => state !== 'disabled');
  set.gauge(
    'listener_state',
    '1 for the state a listener is in, 0 for the others.',
    [...LABELS, 'state'],
    (gauge) => {
      for (const { connection, id, group, topic, state: current } of registry.list()) {
        for (const state of STATES) {
          gauge.set({ connection, listener: id, group, topic, state }, state === current ? 1 : 0);
        }
      }
    },
  );
  set.gauge(
    'consumer_queues',
    'Message queues of a topic that this process reads.',
    ['connection', 'group', 'topic'],
    (gauge) => {
      for (const { connection, group, topic, queues } of consuming()) {
        gauge.set({ connection, group, topic }, queues.length);
      }
    },
  );
  set.gauge('consumer_in_flight', 'Handler calls under way.', ['connection', 'group'], (gauge) => {
    for (const { connection, group, inFlight } of consuming()) gauge.set({ connection, group }, inFlight);
  });
  set.gauge(
    'consumer_cached_messages',
    'Messages in memory that are not acknowledged: waiting for a handler, or with one.',
    ['connection', 'group'],
    (gauge) => {
      for (const { connection, group, cached } of consuming()) {
        gauge.set({ connection, group }, cached.messages);
      }
    },
  );
  set.gauge('consumer_cached_bytes', 'What they take in memory, about.', ['connection', 'group'], (gauge) => {
    for (const { connection, group, cached } of consuming()) gauge.set({ connection, group }, cached.bytes);
  });
}
