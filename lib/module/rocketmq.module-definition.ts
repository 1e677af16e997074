import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';

/** What has to be known before the options are, which may come from a factory. */
export interface RocketMQModuleExtras {
  /** Whether every module can inject what this one provides. @default true */
  readonly isGlobal?: boolean;
  /**
   * `forRootAsync` only: names of `connections` whose templates are injected with `@InjectRocketMQTemplate(name)`.
   * `forRoot` finds them in the options.
   */
  readonly connectionNames?: readonly string[];
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<RocketMQModuleOptions>({ moduleName: 'RocketMQ' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createRocketMQOptions')
    .setExtras<RocketMQModuleExtras>({ isGlobal: true, connectionNames: [] }, (definition, { isGlobal }) => ({
      ...definition,
      global: isGlobal ?? true,
    }))
    .build();
