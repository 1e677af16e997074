import { Inject, type InjectionToken } from '@nestjs/common';
import { RocketMQTemplate } from './rocketmq-template.js';

/** Injection token of a connection's template; of the default one it is the class itself. */
export function getRocketMQTemplateToken(connection = 'default'): InjectionToken<RocketMQTemplate> {
  return connection === 'default' ? RocketMQTemplate : `RocketMQTemplate:${connection}`;
}

/** Injects the template of a named connection. `RocketMQTemplate` as a type is enough for the default one. */
export function InjectRocketMQTemplate(connection?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getRocketMQTemplateToken(connection));
}
