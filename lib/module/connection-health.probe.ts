import type { RocketMQListenerRegistry } from '../listener/listener-registry.js';
import type { HealthProbe } from '../observability/rocketmq-health.indicator.js';
import type { RocketMQConnections } from './rocketmq-connections.js';

/** Asks every connection now. */
export function connectionsProbe(connections: RocketMQConnections): HealthProbe {
  return {
    name: 'connections',
    check: async () => {
      const states = await Promise.all(
        [...connections].map(async ({ name, client }) => [name, await client.checkConnection()] as const),
      );
      const up = states.every(([, state]) => state === 'up');
      return { status: up ? 'up' : 'down', details: Object.fromEntries(states) };
    },
  };
}

/** Listeners that should run and do not. Paused and stopped ones were wanted so. */
export function listenersProbe(registry: RocketMQListenerRegistry): HealthProbe {
  return {
    name: 'listeners',
    check: () => {
      const listeners = registry.list();
      const failed = listeners.some(({ state }) => state === 'failed');
      return {
        status: failed ? 'down' : 'up',
        details: Object.fromEntries(listeners.map(({ id, state }) => [id, state])),
      };
    },
  };
}
