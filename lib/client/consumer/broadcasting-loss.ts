import type { ReceivedMessage } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';

/** There is no retry topic for broadcasting, since the broker does not know which member failed: what is refused is gone. */
export function broadcastingLoss({ messageId, topic }: ReceivedMessage): RocketMQError {
  return new RocketMQError(
    'UNSUPPORTED',
    `Message ${messageId} of "${topic}" was not acknowledged and is lost for this member: broadcasting has no retry. Retry inside the handler.`,
  );
}
