import type { MessageQueue } from '../message/message.js';

/**
 * Shares out the queues of one topic among the members of a group. Pure and deterministic: every member computes
 * it alone over the same sorted input and must come to the same answer. (Java: `AllocateMessageQueueStrategy`.)
 *
 * `queues` are sorted by topic, broker name, queue id; `clientIds` by UTF-16 code units, as Java's String.compareTo.
 */
export interface AllocateStrategy {
  /** Java's name of the strategy, for logs: `AVG`, `AVG_BY_CIRCLE`, … */
  readonly name: string;
  /** The queues of this member; none when it is not among the members. */
  allocate(
    group: string,
    clientId: string,
    queues: readonly MessageQueue[],
    clientIds: readonly string[],
  ): MessageQueue[];
}
