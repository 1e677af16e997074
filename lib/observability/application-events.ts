import type { ModuleRef } from '@nestjs/core';
import { RocketMQError } from '../message/rocketmq-error.js';
import { RocketMQEvents } from './rocketmq-events.js';

/**
 * The events of the application's RocketMQModule, global or not.
 * @throws RocketMQError `INVALID_CONFIGURATION` when there is none
 */
export function applicationEvents(modules: ModuleRef, wanted: string): RocketMQEvents {
  try {
    return modules.get(RocketMQEvents, { strict: false });
  } catch (error) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `${wanted} has nothing to look at. Import RocketMQModule.forRoot in the same application.`,
      { cause: error },
    );
  }
}
