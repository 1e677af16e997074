import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DEFAULT_CONNECTION } from '../listener/listener-options.js';
import { getRocketMQTemplateToken } from '../template/template.tokens.js';
import { coreExports, coreProviders } from './core.providers.js';
import { databaseExports, databaseProviders } from './database.providers.js';
import {
  type ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  type OPTIONS_TYPE,
} from './rocketmq.module-definition.js';
import { namedTemplateProvider, templateProvider } from './template.providers.js';

/**
 * RocketMQ for the whole application. Import it once, in the root module, with `forRoot` or `forRootAsync`
 * (`useFactory`, `useClass`, `useExisting`); further clusters are `connections` of the same module.
 */
@Module({})
export class RocketMQModule extends ConfigurableModuleClass {
  /** Takes {@link RocketMQModuleOptions}, and `isGlobal` (true unless said otherwise). */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return complete(super.forRoot(options), Object.keys(options.connections ?? {}));
  }

  /**
   * The same from a factory (`useFactory` with `inject`), or from a provider with a method `createRocketMQOptions`
   * (`useClass`, `useExisting`). What has to be known before the options are is said here: `isGlobal`, and in
   * `connectionNames` the named connections whose templates are injected.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return complete(super.forRootAsync(options), options.connectionNames ?? []);
  }

  /**
   * In a feature module: the templates of named connections, for `@InjectRocketMQTemplate(name)` there. For those that
   * `forRootAsync` was not told in `connectionNames`; what `forRoot` finds in its options needs no feature.
   */
  static forFeature(...connectionNames: [string, ...string[]]): DynamicModule {
    // The template of the default connection is everywhere, and knows of transactions.
    const names = connectionNames.filter((name) => name !== DEFAULT_CONNECTION);
    return {
      module: RocketMQModule,
      providers: names.map(namedTemplateProvider),
      exports: names.map(getRocketMQTemplateToken),
    };
  }
}

function complete(definition: DynamicModule, connectionNames: readonly string[]): DynamicModule {
  const names = [...new Set([DEFAULT_CONNECTION, ...connectionNames])];
  return {
    ...definition,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [
      ...(definition.providers ?? []),
      ...coreProviders,
      ...databaseProviders,
      ...names.map(templateProvider),
    ],
    exports: [...coreExports, ...databaseExports, ...names.map(getRocketMQTemplateToken)],
  };
}
