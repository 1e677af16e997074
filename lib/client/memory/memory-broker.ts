import type { MessageQueue } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Clock } from '../clock.js';
import { deadLetterTopicOf, retryTopicOf } from '../group-topics.js';
import type { StartFrom } from '../push-consumer.js';
import type { MemoryBrokerHandle } from '../rocketmq-client.js';
import { Answer, refusal, topicNotFound } from './broker-answer.js';
import { BrokerConnection } from './broker-connection.js';
import { ConsumerGroup, type GroupMember } from './consumer-group.js';
import { DelayedMessages } from './delayed-messages.js';
import { HalfMessages } from './half-messages.js';
import { brokerSettings, type BrokerSettings, type MemoryBrokerOptions } from './memory-broker-options.js';
import type { MemoryQueue } from './memory-queue.js';
import { Property } from './message-properties.js';
import { MessageStore } from './message-store.js';
import { offsetMessageIdOf, type MessageToStore, type StoredMessage } from './stored-message.js';

/** What a producer learns about a stored message. */
export interface StoreAnswer {
  readonly queueOffset: number;
  readonly commitLogOffset: number;
  readonly recallHandle?: string | undefined;
}

export interface PullAnswer {
  readonly messages: readonly StoredMessage[];
  /** Where the next pull goes on. */
  readonly nextOffset: number;
  /** Set when there is no such offset. */
  readonly minOffset?: number | undefined;
}

export interface SendBackRequest {
  readonly group: string;
  readonly message: StoredMessage;
  /** 0: by how often it was delivered; -1: to the dead-letter topic. */
  readonly delayLevel: number;
  readonly maxReconsumeTimes: number;
}

/** Says whether it waited for the reply. */
export type ReplyTaker = (correlationId: string, reply: StoredMessage) => boolean;

/** A delay level for the n-th retry is 3 + n. Source: AbstractSendMessageProcessor.consumerSendMsgBack. */
const FIRST_RETRY_LEVEL = 3;

/**
 * A RocketMQ broker inside the process: topics and queues, delay levels and timers, consumer groups with retries and
 * dead letters, half messages with checks. Nothing is on disk; it lives as long as this object.
 *
 * Clients with the same broker object see the same messages:
 *
 * ```ts
 * const broker = new MemoryBroker({ clock });
 * const shop = createRocketMQClient({ engine: 'memory', memory: { broker } });
 * const warehouse = createRocketMQClient({ engine: 'memory', memory: { broker } });
 * ```
 */
export class MemoryBroker implements MemoryBrokerHandle {
  readonly name: string;
  /** @internal For the engine. */
  readonly settings: BrokerSettings;
  /** @internal */
  readonly store: MessageStore;
  /** @internal */
  readonly delayed: DelayedMessages;
  /** @internal */
  readonly halfMessages: HalfMessages;
  readonly #groups = new Map<string, ConsumerGroup>();
  readonly #localOffsets = new Map<string, { readonly clientId: string; readonly offsets: ConsumerGroup }>();
  /** Producers that wait for replies, by client. */
  readonly #requesters = new Map<string, Set<ReplyTaker>>();
  readonly #connections = new Map<string, BrokerConnection>();
  readonly #disconnectListeners = new Map<string, () => void>();

  constructor(options: MemoryBrokerOptions = {}) {
    this.settings = brokerSettings(options);
    this.name = this.settings.name;
    this.store = new MessageStore(this.settings, (topic, queueId) => this.#slowestReader(topic, queueId));
    this.delayed = new DelayedMessages(this.settings, this.store);
    this.halfMessages = new HalfMessages(this.settings, this.store);
  }

  /** What is stored in a topic now, by queue and offset. For assertions in tests. */
  messagesOf(topic: string): readonly StoredMessage[] {
    return (this.store.queues(topic) ?? []).flatMap((queue) => queue.all());
  }

  /** Topics that exist, those of retries and dead letters included. */
  topics(): readonly string[] {
    return this.store.topics();
  }

  /** Messages that wait for their time. */
  get delayedCount(): number {
    return this.delayed.size;
  }

  /** Half messages nobody ended yet. */
  get halfCount(): number {
    return this.halfMessages.openCount;
  }

  /** Clients connected now. */
  clientIds(): readonly string[] {
    return [...this.#connections.keys()];
  }

  /**
   * What the death of a process looks like from here: the client is gone at once, nothing it still tries reaches the
   * broker, its queues go to the other members, its orderly locks stay until they expire.
   */
  disconnect(clientId: string): void {
    this.#connections.get(clientId)?.cut();
    this.#connections.delete(clientId);
    const onDisconnect = this.#disconnectListeners.get(clientId);
    this.#disconnectListeners.delete(clientId);
    onDisconnect?.();
    for (const group of this.#groups.values()) group.remove(clientId);
  }

  /** Ends all timers and cuts off every client. What was stored can still be looked at. */
  close(): void {
    for (const clientId of this.clientIds()) this.disconnect(clientId);
    this.delayed.close();
    this.halfMessages.close();
  }

  /** @internal */
  connect(clientId: string, clock: Clock, onDisconnect: () => void): BrokerConnection {
    if (this.#connections.has(clientId)) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `A client "${clientId}" is connected to the in-process broker already; two would take each other's queues. Give each its own instanceName.`,
      );
    }
    const connection = new BrokerConnection(clientId, this.settings, clock);
    this.#connections.set(clientId, connection);
    this.#disconnectListeners.set(clientId, onDisconnect);
    return connection;
  }

  /** @internal */
  group(name: string): ConsumerGroup {
    const known = this.#groups.get(name);
    if (known) return known;
    const group = new ConsumerGroup(this.settings.clock, this.settings.queueLockMs);
    this.#groups.set(name, group);
    return group;
  }

  /** @internal The offsets a broadcasting member keeps for itself; they are there again for a client of the same id. */
  localOffsets(group: string, clientId: string): ConsumerGroup {
    const key = `${clientId} ${group}`;
    const known = this.#localOffsets.get(key);
    if (known) return known.offsets;
    const offsets = new ConsumerGroup(this.settings.clock, this.settings.queueLockMs);
    this.#localOffsets.set(key, { clientId, offsets });
    return offsets;
  }

  /** @internal Replies for the client go to it, until the function returned is called. */
  awaitReplies(clientId: string, taker: ReplyTaker): () => void {
    const takers = this.#requesters.get(clientId) ?? new Set();
    this.#requesters.set(clientId, takers.add(taker));
    return () => {
      takers.delete(taker);
    };
  }

  /** @internal A client that is gone gets nothing; one that no longer waits ignores it. */
  pushReply(clientId: string, correlationId: string, reply: MessageToStore): void {
    const takers = this.#requesters.get(clientId);
    if (takers === undefined || takers.size === 0 || !this.#connections.has(clientId)) {
      throw refusal(
        'BROKER_REJECTED',
        Answer.SYSTEM_ERROR,
        `Client "${clientId}" is not connected any more, so its reply cannot be handed over. Let it go.`,
      );
    }
    const stored = {
      ...reply,
      queueOffset: -1,
      commitLogOffset: -1,
      storeTimestamp: this.settings.clock.now(),
    };
    for (const take of takers) if (take(correlationId, stored)) return;
  }

  /** @internal Registers a member, or hears that it is still there. */
  heartbeat(group: string, member: GroupMember, clustering: boolean): void {
    if (clustering) this.store.ensureTopic(retryTopicOf(group), 1);
    this.group(group).heard(member);
  }

  /** @internal Gives the lock back; the others need not wait for their next round. */
  unlockQueue(group: string, clientId: string, topic: string, queueId: number): void {
    if (this.group(group).unlock(clientId, topic, queueId)) this.group(group).notify();
  }

  /** @internal */
  deleteGroup(name: string): void {
    this.#groups.delete(name);
    this.store.deleteTopic(retryTopicOf(name));
  }

  /** @internal */
  deleteTopic(topic: string): void {
    this.store.deleteTopic(topic);
    for (const group of this.#groups.values()) group.forgetTopic(topic);
  }

  /** @internal The queues one may send to. */
  writableQueues(topic: string): number {
    const queues = this.store.queues(topic);
    if (queues) return queues.length;
    if (!this.settings.autoCreateTopics) throw topicNotFound(topic);
    return this.settings.queuesPerTopic;
  }

  /** @internal */
  readableQueues(topic: string): readonly MessageQueue[] {
    const queues = this.store.queues(topic);
    if (!queues) throw topicNotFound(topic);
    return queues.map((_, queueId) => ({ topic, brokerName: this.name, queueId }));
  }

  /** @internal Stores all or none. */
  storeAll(messages: readonly MessageToStore[]): readonly StoreAnswer[] {
    for (const message of messages) this.#checkStorable(message);
    const dueAts = messages.map((message) => this.delayed.dueAt(message));
    this.store.reserve(messages);
    return messages.map((message, index) => this.#storeReserved(message, dueAts[index]));
  }

  /** @internal */
  storeHalf(group: string, message: MessageToStore): StoredMessage {
    this.#checkStorable(message);
    this.store.reserve([message]);
    return this.halfMessages.add(group, message);
  }

  /** @internal CONSUMER_SEND_MSG_BACK: a copy in the retry topic after a delay, or in the dead-letter topic. */
  sendBack(request: SendBackRequest): void {
    const { group, message, delayLevel, maxReconsumeTimes } = request;
    const dead = delayLevel < 0 || message.reconsumeTimes >= maxReconsumeTimes;
    const topic = dead ? deadLetterTopicOf(group) : retryTopicOf(group);
    this.store.ensureTopic(topic, 1);
    const originTopic = message.properties[Property.RETRY_TOPIC] ?? message.topic;
    const originId =
      message.properties[Property.ORIGIN_MESSAGE_ID] ?? offsetMessageIdOf(message.commitLogOffset);
    const { body, bornTimestamp, bornHost } = message;
    const level = delayLevel === 0 ? FIRST_RETRY_LEVEL + message.reconsumeTimes : delayLevel;
    const properties = {
      ...message.properties,
      [Property.RETRY_TOPIC]: originTopic,
      [Property.ORIGIN_MESSAGE_ID]: originId,
      [Property.DELAY_LEVEL]: String(dead ? 0 : level),
      [Property.WAIT]: 'false',
    };
    const reconsumeTimes = message.reconsumeTimes + 1;
    this.storeAll([{ topic, queueId: 0, body, properties, bornTimestamp, bornHost, reconsumeTimes }]);
  }

  /** @internal Reads on from an offset. */
  read(topic: string, queueId: number, offset: number, limit: number): PullAnswer {
    const queue = this.#queue(topic, queueId);
    // An offset beyond the end was valid before the topic was made anew: go on from its end.
    const from = Math.min(Math.max(offset, queue.minOffset), queue.maxOffset);
    if (from !== offset) return { messages: [], nextOffset: from, minOffset: queue.minOffset };
    const messages = queue.from(from, limit);
    return { messages, nextOffset: from + messages.length };
  }

  /** @internal @throws BrokerError when it is gone */
  messageAt(topic: string, queueId: number, offset: number): StoredMessage {
    const message = this.#queue(topic, queueId).at(offset);
    if (message) return message;
    throw refusal(
      'BROKER_REJECTED',
      Answer.SYSTEM_ERROR,
      `Queue ${queueId} of "${topic}" has no message at offset ${offset} any more. Store it anew.`,
    );
  }

  /** @internal Resolves when the queue has something from the offset on, or the signal aborts. */
  async whenArrived(topic: string, queueId: number, offset: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const queue = this.#queue(topic, queueId);
      if (signal.aborted || offset < queue.maxOffset) return;
      await arrival(queue, signal);
    }
  }

  /** @internal */
  startOffset(topic: string, queueId: number, startFrom: StartFrom): number {
    const queue = this.#queue(topic, queueId);
    if (startFrom === 'first') return queue.minOffset;
    if (startFrom === 'last') return queue.maxOffset;
    return queue.offsetAt(startFrom.getTime());
  }

  #checkStorable({ topic, body }: MessageToStore): void {
    const { maxMessageSize } = this.settings;
    if (body.length > maxMessageSize) {
      throw refusal(
        'MESSAGE_TOO_LARGE',
        Answer.MESSAGE_ILLEGAL,
        `The body for "${topic}" has ${body.length} bytes; the in-process broker takes ${maxMessageSize}. Send a reference to the data, or raise maxMessageSize of the broker.`,
      );
    }
    if (this.store.queues(topic)) return;
    if (!this.settings.autoCreateTopics) throw topicNotFound(topic);
    this.store.createTopic(topic, this.settings.queuesPerTopic);
  }

  #storeReserved(message: MessageToStore, dueAt: number | undefined): StoreAnswer {
    if (dueAt === undefined) return this.store.append(message);
    const recallHandle = this.delayed.recallHandle(message, dueAt);
    const commitLogOffset = this.store.nextCommitLogOffset(message);
    return { queueOffset: this.delayed.add(message, dueAt), commitLogOffset, recallHandle };
  }

  #queue(topic: string, queueId: number): MemoryQueue {
    const queue = this.store.queues(topic)?.[queueId];
    if (!queue) throw topicNotFound(topic);
    return queue;
  }

  #slowestReader(topic: string, queueId: number): number | undefined {
    let slowest: number | undefined;
    const broadcasting = [...this.#localOffsets.values()]
      .filter(({ clientId }) => this.#connections.has(clientId))
      .map(({ offsets }) => offsets);
    for (const group of [...this.#groups.values(), ...broadcasting]) {
      if (!group.reads(topic)) continue;
      slowest = Math.min(slowest ?? Infinity, group.offset(topic, queueId) ?? 0);
    }
    return slowest;
  }
}

function arrival(queue: MemoryQueue, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const stop = queue.onArrival(done);
    signal.addEventListener('abort', done, { once: true });
  });
}
