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
      const down = states.filter(([, state]) => state !== 'up');
      const details = Object.fromEntries(states);
      if (down.length === 0) return { status: 'up', details };
      const list = down.map(([name, state]) => `"${name}" is ${state}`).join(', ');
      const error = `Connection ${list}. Messages wait; check that name server and broker run and can be reached.`;
      return { status: 'down', details: { ...details, error } };
    },
  };
}

/** Listeners that should run and do not. Paused and stopped ones were wanted so. */
export function listenersProbe(registry: RocketMQListenerRegistry): HealthProbe {
  return {
    name: 'listeners',
    check: () => {
      const listeners = registry.list();
      const failed = listeners.filter(({ state }) => state === 'failed').map(({ id }) => `"${id}"`);
      const details = Object.fromEntries(listeners.map(({ id, state }) => [id, state]));
      if (failed.length === 0) return { status: 'up', details };
      const error = `Listener ${failed.join(', ')} could not start. The log says why; correct it, then start with RocketMQListenerRegistry.`;
      return { status: 'down', details: { ...details, error } };
    },
  };
}
