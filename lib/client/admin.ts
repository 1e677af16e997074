/** RocketMQ 5 topic types; 4.x brokers ignore them. (Attribute `message.type`.) */
export type TopicType = 'NORMAL' | 'FIFO' | 'DELAY' | 'TRANSACTION' | 'MIXED';

export interface TopicOptions {
  /** Queues per broker, for reading and writing. @default 4 */
  readonly queues?: number;
  /** @default 'NORMAL' */
  readonly type?: TopicType;
}

export interface GroupOptions {
  /** Deliveries after the first before a message is dead. @default 16 */
  readonly retryMaxTimes?: number;
  /** Tells RocketMQ 5 proxies that the group consumes in order. @default false */
  readonly consumeMessageOrderly?: boolean;
}

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
  deleteTopic(topic: string): Promise<void>;
  /** Whether the name server knows a route to it. */
  topicExists(topic: string): Promise<boolean>;
  createGroup(group: string, options?: GroupOptions): Promise<void>;
  deleteGroup(group: string): Promise<void>;
  brokers(): Promise<readonly BrokerInfo[]>;
  /** Messages of the topic not yet acknowledged by the group, per queue `broker:queueId`; undefined while the group has no offset. */
  lag(
    group: string,
    topic: string,
  ): Promise<{ readonly total: number; readonly queues: ReadonlyMap<string, number> }>;
  /** Lowest and highest offset per queue `broker:queueId` (the highest is the next to be written). */
  offsets(topic: string): Promise<ReadonlyMap<string, { readonly min: number; readonly max: number }>>;
  close(): Promise<void>;
}
