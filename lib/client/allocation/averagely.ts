import type { AllocateStrategy } from '../allocate-strategy.js';
import { memberIndex } from './member-index.js';

/**
 * Every member gets a run of neighbouring queues; the first ones get one more when it does not come out even.
 * The default. (Java: `AllocateMessageQueueAveragely`.)
 */
export function allocateAveragely(): AllocateStrategy {
  return {
    name: 'AVG',
    allocate(_group, clientId, queues, clientIds) {
      const index = memberIndex(clientId, queues, clientIds);
      if (index < 0) return [];
      const share = Math.floor(queues.length / clientIds.length);
      const left = queues.length % clientIds.length;
      const start = index * share + Math.min(index, left);
      return queues.slice(start, start + share + (index < left ? 1 : 0));
    },
  };
}
