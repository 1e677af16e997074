import type { InjectionToken, Provider } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import { guardConnections } from '../database/guard-connections.js';
import type { InstanceWrapper } from '../listener/listener-definition.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';

/** The DataSource of outbox, idempotency and transactions; undefined when none of them is on. */
export const ROCKETMQ_DATA_SOURCE = Symbol('nestjs-rocketmq:data-source');

/** Nest starts all providers at about the same time; one that has not even begun after this waits for us. */
const NOT_BEGUN_MS = 60_000;
const LOOK_AGAIN_MS = 5;

/**
 * Found when the options are known, which may be later than providers are declared, so it cannot simply be injected.
 * TypeORM is an optional peer and is not imported: its provider is recognised by the name of its token.
 */
export const dataSourceProvider: Provider = {
  provide: ROCKETMQ_DATA_SOURCE,
  inject: [MODULE_OPTIONS_TOKEN, ModulesContainer],
  useFactory: async (options: RocketMQModuleOptions, modules: ModulesContainer) => {
    const needed = (['outbox', 'idempotency', 'transactions'] as const).filter((name) => options[name]);
    if (needed.length === 0) return undefined;
    const wrapper = find(modules, options.database?.dataSource);
    if (wrapper === undefined) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `${needed.join(', ')} need${needed.length === 1 ? 's' : ''} a TypeORM DataSource, and there is no provider ${describe(options.database?.dataSource)}. Import TypeOrmModule.forRoot (@nestjs/typeorm), or name the provider's token in database.dataSource.`,
      );
    }
    const dataSource = await made(wrapper);
    guardConnections(dataSource);
    return dataSource;
  },
};

function describe(token: InjectionToken | undefined): string {
  if (token === undefined) return 'of that class';
  return `"${typeof token === 'function' ? token.name : String(token)}"`;
}

function find(modules: ModulesContainer, token: InjectionToken | undefined): InstanceWrapper | undefined {
  for (const { providers } of modules.values()) {
    for (const [key, wrapper] of providers) {
      const found =
        token === undefined ? typeof key === 'function' && key.name === 'DataSource' : key === token;
      if (found && !wrapper.isAlias) return wrapper as InstanceWrapper;
    }
  }
  return undefined;
}

/** Waits for a provider of another module. Nest begins them all in one turn, so its signal is there by now, or soon. */
async function made(wrapper: InstanceWrapper): Promise<DataSource> {
  const patience = AbortSignal.timeout(NOT_BEGUN_MS);
  while (wrapper.settlementSignal === undefined && !wrapper.instance) {
    if (patience.aborted) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        'The DataSource provider waits for something that waits for RocketMQ. Break the circle: a DataSource must not depend on Outbox or RocketMQTemplate.',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  const failure: unknown = await wrapper.settlementSignal?.asPromise();
  if (failure !== undefined) throw failure;
  return wrapper.instance as DataSource;
}
