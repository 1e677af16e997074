import type { MessageQueue, ReceivedMessage } from '../../message/message.js';
import type { RocketMQError } from '../../message/rocketmq-error.js';
import type { Clock } from '../clock.js';
import type { Namespace } from '../namespace.js';
import type { StartFrom } from '../push-consumer.js';
import type { ClientLog } from '../rocketmq-client.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import type { ProcessQueue } from './process-queue.js';
import type { StoredMessage, StoredPosition } from './stored-message.js';
import type { TopicSubscription } from './topic-subscription.js';

/**
 * What the consumers of one client need of their engine. Everything else about consuming is the same for all engines
 * and lies in this folder. (docs/adr/0010)
 */
export interface ConsumerEngine {
  /** Names this client among the members of its groups. */
  readonly clientId: string;
  readonly namespace: Namespace;
  readonly clock: Clock;
  readonly log: ClientLog;
  /** The way of one consumer to the brokers. */
  brokerOf(profile: ConsumerProfile): ConsumerBroker;
}

/** What brokers are told of a consumer. */
export interface ConsumerProfile {
  /** As the application names it. */
  readonly group: string;
  /** As the broker knows it. */
  readonly brokerGroup: string;
  readonly type: 'push' | 'pull';
  readonly orderly: boolean;
  readonly broadcasting: boolean;
  readonly startFrom: StartFrom;
  readonly concurrency: number;
}

/** A consumer as its engine sees it: what brokers may ask of it, or tell it. (Java: `MQConsumerInner`.) */
export interface GroupMember {
  /** What it wants now. */
  subscriptions(): readonly TopicSubscription[];
  /** The group's members or a route changed: share out the queues again. Must not throw. */
  rebalanceNow(): void;
  /** An operator moved the group. */
  resetOffsets?(topic: string, offsets: readonly CommittableOffset[]): Promise<void>;
  /** Where this member stands. */
  offsetsStatus(topic: string): readonly CommittableOffset[];
  /** What it owns now. */
  readonly queues: Iterable<ProcessQueue>;
  /** Whether the broker's lock on the queue is its own. */
  isLocked(processQueue: ProcessQueue): boolean;
}

/** The queues of topics, by their names at the broker. */
export interface QueueRoutes {
  /** @throws RocketMQError `TOPIC_NOT_FOUND`, or when it cannot be told now */
  subscribeQueues(topic: string): Promise<readonly MessageQueue[]>;
  /** Changes of the topic's queues are to be noticed, until {@link untrack}. */
  track(topic: string): void;
  untrack(topic: string): void;
  /** @returns the function that removes the listener */
  onChange(listener: (topic: string) => void): () => void;
}

/** Which messages of which queue. */
export interface PullRequest {
  readonly queue: MessageQueue;
  readonly subscription: TopicSubscription;
  readonly offset: number;
  readonly maxMessages: number;
  /** How long the broker may hold the request when there is nothing, milliseconds. */
  readonly suspendMs: number;
  /** Offset to commit with the pull; undefined for none. */
  readonly commitOffset: number | undefined;
  /** Send the subscription along instead of relying on the one in the heartbeat. */
  readonly postSubscription: boolean;
  readonly signal: AbortSignal;
}

/** A message that passed the filter. */
export interface PulledMessage {
  /** As the handler sees it, namespace taken off. */
  readonly message: ReceivedMessage;
  readonly stored: StoredMessage;
}

/** A message that cannot be shown to anybody. */
export interface UnreadableMessage {
  readonly error: RocketMQError;
  readonly queueOffset: number;
  /** -1 when even this cannot be read. */
  readonly commitLogOffset: number;
}

/** (Java: `PullResult`, `PullStatus`.) */
export type PullResult =
  | {
      readonly status: 'found';
      readonly messages: readonly PulledMessage[];
      readonly unreadable: readonly UnreadableMessage[];
      readonly nextOffset: number;
    }
  /** Nothing new, or nothing that passes the filter up to `nextOffset`. */
  | { readonly status: 'nothing'; readonly nextOffset: number }
  /** The broker has no such offset, or an operator reset it: continue at `nextOffset`. */
  | { readonly status: 'offset-moved'; readonly nextOffset: number; readonly minOffset: number };

export interface SendBackOptions {
  /** 0: the broker's schedule for this attempt. -1: to the dead letters. 1 to 18: that delay. */
  readonly delayLevel: number;
  /** Redeliveries after which the broker moves the message to `%DLQ%group`. */
  readonly maxReconsumeTimes: number;
}

/**
 * The way of one consumer to the brokers, whatever they are. Topics are named as brokers know them. Whatever asks a
 * broker rejects with a RocketMQError when that fails, unless it says otherwise.
 */
export interface ConsumerBroker {
  readonly routes: QueueRoutes;

  /** @throws RocketMQError `INVALID_CONFIGURATION` when the client has a consumer of the group already */
  join(member: GroupMember): void;
  /** Tells the brokers. Never rejects. */
  leave(): Promise<void>;
  /** Tells the brokers that this member is there, and what it wants. Never rejects. */
  heartbeat(): Promise<void>;
  /** Client ids of the members of the group; empty when the broker knows none. */
  members(topic: string): Promise<readonly string[]>;
  /** @throws RocketMQError when a broker does not understand the filter */
  checkFilter(queue: MessageQueue, subscription: TopicSubscription): Promise<void>;

  pull(request: PullRequest): Promise<PullResult>;
  /** The queue is no longer pulled. */
  forget(queue: MessageQueue): void;
  /** Whether pulls are refused until the broker has heard of the subscription. */
  needsHeartbeat(error: unknown): boolean;

  /** Where broadcasting members keep their offsets. @param folder as the user gave it */
  localOffsets(folder: string | undefined, reports: ConsumerReports): OffsetStore;
  /** The offset the group committed, or undefined when it has none. */
  committedOffset(queue: MessageQueue): Promise<number | undefined>;
  commitOffset(queue: MessageQueue, offset: number): Promise<void>;
  minOffset(queue: MessageQueue): Promise<number>;
  maxOffset(queue: MessageQueue): Promise<number>;
  /** The first offset whose message was stored at or after the time. */
  searchOffset(queue: MessageQueue, timestamp: number): Promise<number>;
  /** A broker may have been killed and have lost offsets of its last seconds. @returns the function that removes the listener */
  onDisconnect(listener: () => void): () => void;

  /** @returns those of the queues that are locked for this client now */
  lockQueues(brokerName: string, queues: readonly MessageQueue[]): Promise<MessageQueue[]>;
  unlockQueues(brokerName: string, queues: readonly MessageQueue[]): Promise<void>;

  /** CONSUMER_SEND_MSG_BACK: the broker copies the message by its position, for later or as a dead letter. */
  sendBack(brokerName: string, position: StoredPosition, options: SendBackOptions): Promise<void>;
  /** The same by storing the message anew, at any broker; `delayLevel` is 0 to 18. */
  sendToRetryTopic(message: StoredMessage, options: SendBackOptions): Promise<void>;
  /** Lets go of what it holds for this consumer. */
  close(): void;
}
