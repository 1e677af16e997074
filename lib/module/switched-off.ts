import { RocketMQError } from '../message/rocketmq-error.js';

/**
 * What is injected for a feature whose option is not set: everything it has throws and says so. Whether somebody
 * wants it is known only when it is used.
 */
export function switchedOff<T extends object>(
  Class: { readonly name: string; readonly prototype: T },
  option: string,
): T {
  const stand = Object.create(Class.prototype) as T;
  const refuse = (): never => {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `${Class.name} is injected, but the feature is off. Set \`${option}: true\` in RocketMQModule.forRoot and run its migrations.`,
    );
  };
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))) {
    if (name === 'constructor') continue;
    Object.defineProperty(stand, name, typeof value === 'function' ? { value: refuse } : { get: refuse });
  }
  return stand;
}
