import type { RocketMQListenerRegistry } from '../listener/listener-registry.js';
import type { RocketMQConnections } from '../module/rocketmq-connections.js';
import type { MetricSet } from './metric-set.js';
import { SharedReading } from './shared-reading.js';

interface Lag {
  readonly connection: string;
  readonly group: string;
  readonly topic: string;
  readonly messages: number;
}

/**
 * Messages at the brokers that a group has not acknowledged. Brokers are asked, so an answer is kept for a while.
 * The figure is the group's, not this process's: every instance reports the same. Broadcasting listeners are left out:
 * each process keeps its own offsets, and brokers know nothing of them.
 */
export function measureLag(
  set: MetricSet,
  registry: RocketMQListenerRegistry,
  connections: RocketMQConnections,
  options: {
    readonly everyMs: number;
    readonly timeoutMs: number;
    readonly onError: (error: unknown) => void;
  },
): void {
  const { everyMs, timeoutMs, onError } = options;
  let kept: { readonly lags: readonly Lag[]; readonly until: number } | undefined;
  const reading = new SharedReading(
    async () => {
      const lags = await readLags(registry, connections, onError);
      kept = { lags, until: performance.now() + everyMs };
      return lags;
    },
    timeoutMs,
    onError,
  );
  set.gauge(
    'consumer_lag_messages',
    'Messages of a topic that a group has not acknowledged, over all its members.',
    ['connection', 'group', 'topic'],
    async (gauge) => {
      const fresh = kept !== undefined && performance.now() < kept.until;
      const lags = fresh ? kept?.lags : await reading.get();
      gauge.reset();
      for (const { messages, ...labels } of lags ?? []) gauge.set(labels, messages);
    },
  );
}

async function readLags(
  registry: RocketMQListenerRegistry,
  connections: RocketMQConnections,
  onError: (error: unknown) => void,
): Promise<readonly Lag[]> {
  const wanted = new Map<string, Omit<Lag, 'messages'>>();
  for (const { connection, group, topic, state, model } of registry.list()) {
    if (state === 'disabled' || model === 'broadcasting') continue;
    if (connections.states()[connection] !== 'up') continue;
    wanted.set(`${connection}\n${group}\n${topic}`, { connection, group, topic });
  }
  const lags = await Promise.all(
    Array.from(wanted.values(), async (labels): Promise<readonly Lag[]> => {
      try {
        const { admin } = connections.get(labels.connection).client;
        const { total, queues } = await admin.lag(labels.group, labels.topic);
        // A group without offsets has no lag that could be told.
        return queues.size === 0 ? [] : [{ ...labels, messages: total }];
      } catch (error) {
        onError(error);
        return [];
      }
    }),
  );
  return lags.flat();
}
