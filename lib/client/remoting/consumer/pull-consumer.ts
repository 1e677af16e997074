import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { PullConsumer, PullConsumerOptions } from '../../pull-consumer.js';
import type { ClientInstance } from '../client-instance.js';

/** @throws RocketMQError */
export function createPullConsumer(_instance: ClientInstance, { group }: PullConsumerOptions): PullConsumer {
  throw new RocketMQError('UNSUPPORTED', `No pull consumer for group "${group}" yet. Use a push consumer.`);
}
