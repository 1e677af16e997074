import type { AllocateStrategy } from '../allocate-strategy.js';
import { memberIndex } from './member-index.js';

/**
 * Queues are dealt out like cards, one after the other: members get queues of every broker.
 * (Java: `AllocateMessageQueueAveragelyByCircle`.)
 */
export function allocateAveragelyByCircle(): AllocateStrategy {
  return {
    name: 'AVG_BY_CIRCLE',
    allocate(_group, clientId, queues, clientIds) {
      const index = memberIndex(clientId, queues, clientIds);
      return index < 0 ? [] : queues.filter((_, position) => position % clientIds.length === index);
    },
  };
}
