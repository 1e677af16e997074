import type { CommittableOffset } from '../consumer/offset-store.js';
import type { ConsumerData } from './protocol/heartbeat-data.js';

/**
 * A consumer as the client instance sees it: what it announces in heartbeats and which questions of the broker
 * it answers. (Java: `MQConsumerInner`.)
 */
export interface ConsumerMember {
  /** Its part of the heartbeat, built anew for each. */
  consumerData(): ConsumerData;
  /** The group's members or a route changed: share out the queues again. Must not throw. */
  rebalanceNow(): void;
  /** RESET_CONSUMER_CLIENT_OFFSET (220): an operator moved the group. */
  resetOffsets?(topic: string, offsets: readonly CommittableOffset[]): Promise<void>;
  /** GET_CONSUMER_STATUS_FROM_CLIENT (221): where this member stands. */
  offsetsStatus?(topic: string): readonly CommittableOffset[];
  /** GET_CONSUMER_RUNNING_INFO (307): in Java's `ConsumerRunningInfo` form. */
  runningInfo?(): Buffer;
}
