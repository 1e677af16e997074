import type { InjectionToken, Provider } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '../client/clock.js';
import { RocketMQEvents } from '../observability/rocketmq-events.js';
import { createOutbox, type OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { Outbox } from '../outbox/outbox.js';
import type { HealthProbe } from '../observability/rocketmq-health.indicator.js';
import { OutboxMetrics } from '../outbox/outbox-metrics.js';
import { ParkedMessages } from '../outbox/parked-messages.js';
import { ROCKETMQ_DATA_SOURCE } from './data-source.provider.js';
import { type LifecyclePart, problemsOf } from './lifecycle-part.js';
import { CLOCK } from './module.tokens.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';
import { RocketMQConnections } from './rocketmq-connections.js';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';
import { switchedOff } from './switched-off.js';

export const outboxProviders: Provider[] = [
  {
    provide: OUTBOX_FEATURE,
    inject: [MODULE_OPTIONS_TOKEN, ROCKETMQ_DATA_SOURCE, RocketMQConnections, RocketMQEvents, CLOCK],
    useFactory: (
      options: RocketMQModuleOptions,
      dataSource: DataSource,
      connections: RocketMQConnections,
      events: RocketMQEvents,
      clock: Clock,
    ): OutboxFeature | undefined => {
      if (!options.outbox) return undefined;
      const { serializer } = connections.get();
      return createOutbox({
        dataSource,
        producer: (connection) => connections.get(connection).producer,
        events,
        clock,
        serializer,
        contextHeaders: (message) => events.instrumentation?.create(message),
        ...(options.producer?.maxMessageSize !== undefined && {
          maxMessageSize: options.producer.maxMessageSize,
        }),
        ...(options.database?.transactionHost !== undefined && {
          transactionHost: options.database.transactionHost,
        }),
        ...(options.outbox !== true && { options: options.outbox }),
      });
    },
  },
  {
    provide: Outbox,
    inject: [OUTBOX_FEATURE],
    useFactory: (feature: OutboxFeature | undefined) => feature?.outbox ?? switchedOff(Outbox, 'outbox'),
  },
  {
    provide: ParkedMessages,
    inject: [OUTBOX_FEATURE],
    useFactory: (feature: OutboxFeature | undefined) =>
      feature?.parked ?? switchedOff(ParkedMessages, 'outbox'),
  },
  {
    provide: OutboxMetrics,
    inject: [OUTBOX_FEATURE],
    useFactory: (feature: OutboxFeature | undefined) =>
      feature?.metrics ?? switchedOff(OutboxMetrics, 'outbox'),
  },
];

export const outboxExports: InjectionToken[] = [Outbox, ParkedMessages, OutboxMetrics];

/** Rows that wait too long, lanes without an owner. */
export function outboxProbe({ metrics }: OutboxFeature): HealthProbe {
  return {
    name: 'outbox',
    check: async () => {
      const { status, reason, details } = await metrics.health();
      return { status, details: reason === undefined ? details : { ...details, error: reason } };
    },
  };
}

/** Sends what transactions wrote; drains after the listeners, whose handlers write to it. */
export function outboxPart(feature: OutboxFeature): LifecyclePart {
  return {
    name: 'outbox relay',
    check: () => problemsOf('outbox', () => feature.check()),
    start: () => feature.relay.start(),
    stop: async (timeoutMs) => {
      await feature.relay.drain(timeoutMs);
    },
  };
}
