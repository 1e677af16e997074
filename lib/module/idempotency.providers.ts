import type { InjectionToken, Provider } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '../client/clock.js';
import type { ClientLog } from '../client/rocketmq-client.js';
import { createIdempotency } from '../idempotency/create-idempotency.js';
import type { Idempotency } from '../idempotency/idempotency.js';
import { IDEMPOTENCY } from '../idempotency/idempotency.tokens.js';
import { RocketMQEvents } from '../observability/rocketmq-events.js';
import { ROCKETMQ_DATA_SOURCE } from './data-source.provider.js';
import { type LifecyclePart, problemsOf } from './lifecycle-part.js';
import { CLOCK } from './module.tokens.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';

export const idempotencyProviders: Provider[] = [
  {
    provide: IDEMPOTENCY,
    inject: [MODULE_OPTIONS_TOKEN, ROCKETMQ_DATA_SOURCE, RocketMQEvents, CLOCK],
    useFactory: (
      { idempotency }: RocketMQModuleOptions,
      dataSource: DataSource,
      events: RocketMQEvents,
      clock: Clock,
    ): Idempotency | undefined => {
      if (!idempotency) return undefined;
      return createIdempotency({
        dataSource,
        events,
        clock,
        ...(idempotency !== true && { options: idempotency }),
      });
    },
  },
];

/** The interceptor of `@Idempotent` is made in the modules of its users and injects it there. */
export const idempotencyExports: InjectionToken[] = [IDEMPOTENCY];

/** Removes what is older than the retention. */
export function idempotencyPart(idempotency: Idempotency, log: ClientLog): LifecyclePart {
  return {
    name: 'idempotency',
    check: () => problemsOf('idempotency', () => idempotency.check()),
    start: async () => {
      for (const warning of await idempotency.warnings()) log('warn', warning);
      idempotency.start();
    },
    stop: () => idempotency.stop(),
  };
}
