import { type DynamicModule, Module } from '@nestjs/common';
import {
  type ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  type OPTIONS_TYPE,
} from './metrics.module-definition.js';
import { RocketMQMetrics } from './rocketmq-metrics.js';

/**
 * Prometheus metrics of everything this library does. Needs `prom-client`. Import it beside `RocketMQModule`, and
 * answer scrapes from the registry you gave, or with the injectable {@link RocketMQMetrics}.
 */
@Module({ providers: [RocketMQMetrics], exports: [RocketMQMetrics] })
export class RocketMQMetricsModule extends ConfigurableModuleClass {
  /** With options known at once; none are needed. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** With options from a factory, a class, or an existing provider. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}
