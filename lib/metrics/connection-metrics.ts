import type { ConnectionState } from '../client/rocketmq-client.js';
import type { RocketMQConnections } from '../module/rocketmq-connections.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { MetricSet } from './metric-set.js';

const STATES: readonly ConnectionState[] = ['connecting', 'up', 'down', 'closed'];

export function measureConnections(
  set: MetricSet,
  events: RocketMQEvents,
  connections: RocketMQConnections,
): (() => void)[] {
  set.gauge(
    'connection_state',
    '1 for the state a connection is in, 0 for the others.',
    ['connection', 'state'],
    (gauge) => {
      for (const [connection, current] of Object.entries(connections.states())) {
        for (const state of STATES) gauge.set({ connection, state }, state === current ? 1 : 0);
      }
    },
  );
  const changes = set.counter('connection_changes_total', 'Times a connection entered a state.', [
    'connection',
    'state',
  ]);
  const abandoned = set.counter(
    'drain_abandoned_messages_total',
    'Messages whose handlers were given up at a shutdown; they are delivered again.',
    ['connection'],
  );
  return [
    events.on('connection.state', ({ connection, state }) => changes.inc({ connection, state })),
    events.on('drain.end', ({ connection, abandoned: count }) => abandoned.inc({ connection }, count)),
  ];
}
