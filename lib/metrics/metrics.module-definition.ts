import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { RocketMQMetricsOptions } from './metrics-options.js';

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<RocketMQMetricsOptions>({ moduleName: 'RocketMQMetrics' })
    .setClassMethodName('forRoot')
    .build();
