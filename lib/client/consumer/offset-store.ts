import type { MessageQueue } from '../../message/message.js';

export interface CommittableOffset {
  readonly queue: MessageQueue;
  readonly offset: number;
}

/** Keeps how far a group, or a broadcasting member, has come. (Java: `OffsetStore`.) */
export interface OffsetStore {
  /**
   * The offset to continue at, or undefined when there is none.
   * @throws RocketMQError when it cannot be told now: do not begin then
   */
  read(queue: MessageQueue): Promise<number | undefined>;
  /** What this member wrote last, or tried to; also of queues it no longer has. */
  lastKnown(queue: MessageQueue): number | undefined;
  /**
   * Writes what changed since the last time. Waits for the answer.
   * @throws RocketMQError the first failure; what failed is written again next time
   */
  persist(offsets: readonly CommittableOffset[]): Promise<void>;
  /** The queue is no longer ours. */
  forget(queue: MessageQueue): void;
  close(): Promise<void>;
}
