import { Logger, type Provider } from '@nestjs/common';
import { createRocketMQClient } from '../client/client-factory.js';
import { type Clock, systemClock } from '../client/clock.js';
import type { ClientLog } from '../client/rocketmq-client.js';
import { DeadLetters } from '../dead-letter/dead-letters.js';
import { describeFailure } from '../listener/failure-policy.js';
import { ENHANCER_SWITCHES, HandlerPipelineFactory } from '../listener/handler-pipeline.js';
import { ListenerExplorer } from '../listener/listener-explorer.js';
import { DEFAULT_CONNECTION } from '../listener/listener-options.js';
import { RocketMQListenerRegistry } from '../listener/listener-registry.js';
import { logEvents } from '../observability/event-log.js';
import { RocketMQEvents } from '../observability/rocketmq-events.js';
import {
  HEALTH_PROBES,
  type HealthProbe,
  RocketMQHealthIndicator,
} from '../observability/rocketmq-health.indicator.js';
import type { OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { outboxProbe } from './outbox.providers.js';
import { connectionsProbe, listenersProbe } from './connection-health.probe.js';
import { LifecycleCoordinator } from './lifecycle-coordinator.js';
import { CLIENT_FACTORY, CLIENT_LOG, CLOCK } from './module.tokens.js';
import { type ClientFactory, RocketMQConnection } from './rocketmq-connection.js';
import { RocketMQConnections } from './rocketmq-connections.js';
import {
  CONNECTION_KEYS,
  type ConnectionOptions,
  type RocketMQModuleOptions,
} from './rocketmq-module-options.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';

/** Everything that does not depend on a database. */
export const coreProviders: Provider[] = [
  { provide: CLOCK, useValue: systemClock },
  { provide: CLIENT_FACTORY, useValue: createRocketMQClient },
  { provide: CLIENT_LOG, useFactory: nestLog },
  { provide: RocketMQEvents, inject: [MODULE_OPTIONS_TOKEN], useFactory: createEvents },
  {
    provide: RocketMQConnections,
    inject: [MODULE_OPTIONS_TOKEN, RocketMQEvents, CLIENT_LOG, CLOCK, CLIENT_FACTORY],
    useFactory: createConnections,
  },
  {
    provide: ENHANCER_SWITCHES,
    inject: [MODULE_OPTIONS_TOKEN],
    useFactory: (options: RocketMQModuleOptions) => options.enhancers ?? {},
  },
  {
    provide: DeadLetters,
    inject: [RocketMQConnections],
    useFactory: (connections: RocketMQConnections) => new DeadLetters(connections),
  },
  HandlerPipelineFactory,
  ListenerExplorer,
  RocketMQListenerRegistry,
  {
    provide: HEALTH_PROBES,
    inject: [RocketMQConnections, RocketMQListenerRegistry, OUTBOX_FEATURE],
    useFactory: (
      connections: RocketMQConnections,
      registry: RocketMQListenerRegistry,
      outbox: OutboxFeature | undefined,
    ): HealthProbe[] => [
      connectionsProbe(connections),
      listenersProbe(registry),
      ...(outbox === undefined ? [] : [outboxProbe(outbox)]),
    ],
  },
  RocketMQHealthIndicator,
  LifecycleCoordinator,
];

export const coreExports = [
  RocketMQEvents,
  RocketMQConnections,
  RocketMQListenerRegistry,
  RocketMQHealthIndicator,
  DeadLetters,
];

/** Engines speak through Nest's Logger; an error's stack goes with it. */
function nestLog(): ClientLog {
  const logger = new Logger('RocketMQ');
  const method = { debug: 'debug', info: 'log', warn: 'warn', error: 'error' } as const;
  return (level, message, error) => {
    const text = error === undefined ? message : `${message}: ${describeFailure(error)}`;
    if (level === 'error' && error instanceof Error) logger.error(text, error.stack);
    else logger[method[level]](text);
  };
}

function createEvents({ logging = true }: RocketMQModuleOptions): RocketMQEvents {
  const logger = new Logger('RocketMQ');
  const events = new RocketMQEvents((name, error) => {
    logger.error(`a listener of event "${name}" failed: ${String(error)}; correct it, messaging goes on`);
  });
  if (logging) logEvents(events, logger);
  return events;
}

function createConnections(
  options: RocketMQModuleOptions,
  events: RocketMQEvents,
  log: ClientLog,
  clock: Clock,
  createClient: ClientFactory,
): RocketMQConnections {
  const services = { events, log, clock, createClient };
  const named = Object.entries(options.connections ?? {}).filter(([name]) => name !== DEFAULT_CONNECTION);
  return new RocketMQConnections(
    new Map([
      [DEFAULT_CONNECTION, new RocketMQConnection(DEFAULT_CONNECTION, connectionOf(options), services)],
      ...named.map(
        ([name, connection]) => [name, new RocketMQConnection(name, connection, services)] as const,
      ),
    ]),
  );
}

function connectionOf(options: RocketMQModuleOptions): ConnectionOptions {
  return Object.fromEntries(
    CONNECTION_KEYS.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]),
  );
}
