/**
 * What a topic of RocketMQ 5 is for (attribute `message.type`; Java: `TopicMessageType`). Proxies of the gRPC protocol
 * refuse messages of another kind; brokers take every message for every topic from clients of the remoting protocol,
 * and 4.x brokers know no types. `MIXED` is created only by brokers with `enableMixedMessageType`.
 */
export type TopicType = (typeof TOPIC_TYPES)[number];

/** Every {@link TopicType}. */
export const TOPIC_TYPES = ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'PRIORITY', 'LITE', 'MIXED'] as const;

/** How a topic is to be. */
export interface TopicOptions {
  /** Queues per broker, for reading and writing. @default 4 */
  readonly queues?: number;
  /** @default 'NORMAL' */
  readonly type?: TopicType;
}

/** A topic as the cluster has it. */
export interface TopicDescription {
  readonly topic: string;
  /** Queues consumers read, of all brokers together. */
  readonly queues: number;
  /** Undefined when brokers do not tell: those of 4.x know no types. */
  readonly type: TopicType | undefined;
}

/** How a consumer group is to be. */
export interface GroupOptions {
  /** Deliveries after the first before a message is dead. @default 16 */
  readonly retryMaxTimes?: number;
  /** Tells RocketMQ 5 proxies that the group consumes in order. @default false */
  readonly consumeMessageOrderly?: boolean;
}

/** A master and its slaves. */
export interface BrokerInfo {
  readonly cluster: string;
  readonly brokerName: string;
  /** Broker id to `host:port`; 0 is the master. */
  readonly addresses: ReadonlyMap<number, string>;
}

/** Administration as far as the library itself needs it; more follows under the same interface. */
export interface Admin {
  /** Creates the topic on every master, or updates it. */
  createTopic(topic: string, options?: TopicOptions): Promise<void>;
  /** Deletes the topic everywhere. One that is not there is as good as deleted. */
  deleteTopic(topic: string): Promise<void>;
  /** Whether the name server knows a route to it. */
  topicExists(topic: string): Promise<boolean>;
  /**
   * How many queues the topic has, and of which type it is.
   * @throws RocketMQError `TOPIC_NOT_FOUND`; `INVALID_CONFIGURATION` when brokers do not agree on its type
   */
  describeTopic(topic: string): Promise<TopicDescription>;
  /** Creates the consumer group on every master, or updates it. */
  createGroup(group: string, options?: GroupOptions): Promise<void>;
  /** Deletes the group with its offsets and its retry topic; its dead letters stay. */
  deleteGroup(group: string): Promise<void>;
  /** Every broker the name server knows. */
  brokers(): Promise<readonly BrokerInfo[]>;
  /** Messages of the topic not yet acknowledged by the group, per queue `broker:queueId`; undefined while the group has no offset. */
  lag(
    group: string,
    topic: string,
  ): Promise<{ readonly total: number; readonly queues: ReadonlyMap<string, number> }>;
  /** Lowest and highest offset per queue `broker:queueId` (the highest is the next to be written). */
  offsets(topic: string): Promise<ReadonlyMap<string, { readonly min: number; readonly max: number }>>;
  /** Called by the client when it closes. */
  close(): Promise<void>;
}
