export { RocketMQTracingModule } from './tracing.module.js';
export type { RocketMQTracingOptions } from './tracing-instrumentation.js';
