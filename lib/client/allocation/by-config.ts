import type { MessageQueue } from '../../message/message.js';
import type { AllocateStrategy } from '../allocate-strategy.js';

/**
 * This member always gets exactly these queues, whoever else is there; sharing out without gap and overlap is up to
 * whoever configures. Give the queues of every subscribed topic; those of the topic at hand are taken.
 * (Java: `AllocateMessageQueueByConfig`, which hands out the whole list for each topic.)
 */
export function allocateByConfig(assigned: readonly MessageQueue[]): AllocateStrategy {
  return {
    name: 'CONFIG',
    allocate(_group, _clientId, queues) {
      const topics = new Set(queues.map((queue) => queue.topic));
      return assigned.filter((queue) => topics.has(queue.topic));
    },
  };
}
