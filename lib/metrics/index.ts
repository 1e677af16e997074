export { RocketMQMetricsModule } from './metrics.module.js';
export { RocketMQMetrics } from './rocketmq-metrics.js';
export type { RocketMQMetricsOptions } from './metrics-options.js';
export type { MetricsRegistry } from './metric-set.js';
