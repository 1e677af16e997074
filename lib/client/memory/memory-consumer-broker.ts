import type { MessageQueue } from '../../message/message.js';
import type {
  ConsumerBroker,
  ConsumerEngine,
  ConsumerProfile,
  GroupMember,
  PullRequest,
  PullResult,
  QueueRoutes,
  SendBackOptions,
} from '../consumer/consumer-broker.js';
import type { OffsetStore } from '../consumer/offset-store.js';
import { LOCK_TIMEOUT_MS } from '../consumer/queue-locks.js';
import { RemoteBrokerOffsetStore } from '../consumer/remote-broker-offset-store.js';
import type { StoredMessage as ConsumedMessage, StoredPosition } from '../consumer/stored-message.js';
import type { TopicSubscription } from '../consumer/topic-subscription.js';
import type { BrokerRequest } from './broker-faults.js';
import type { ConsumerGroup, GroupMember as RegisteredMember } from './consumer-group.js';
import type { MemoryClientContext, Membership } from './memory-client-context.js';
import { MemoryPulls } from './memory-pulls.js';
import { messageIdOf } from './stored-message.js';

/**
 * What the consumers of a client get from the in-process broker.
 *
 * @param joined gets those whose heartbeats the client has to send
 */
export function memoryConsumerEngine(
  context: MemoryClientContext,
  membershipOf: (group: string) => Membership,
  joined: Set<{ heartbeat(): Promise<void> }>,
): ConsumerEngine {
  const { clientId, clock, log, namespace } = context;
  return {
    clientId,
    clock,
    log,
    namespace,
    brokerOf: (profile) => new MemoryConsumerBroker(context, profile, membershipOf(profile.group), joined),
  };
}

/** One consumer's way to the in-process broker. */
class MemoryConsumerBroker implements ConsumerBroker, RegisteredMember {
  readonly clientId: string;
  readonly routes: QueueRoutes;
  readonly #context: MemoryClientContext;
  readonly #profile: ConsumerProfile;
  readonly #group: string;
  readonly #membership: Membership;
  readonly #joined: Set<{ heartbeat(): Promise<void> }>;
  readonly #pulls: MemoryPulls;
  #member: GroupMember | undefined;

  constructor(
    context: MemoryClientContext,
    profile: ConsumerProfile,
    membership: Membership,
    joined: Set<{ heartbeat(): Promise<void> }>,
  ) {
    this.#context = context;
    this.#profile = profile;
    this.#group = profile.brokerGroup;
    this.#membership = membership;
    this.#joined = joined;
    this.clientId = context.clientId;
    this.#pulls = new MemoryPulls(context, this.#group);
    const { broker } = context;
    this.routes = {
      subscribeQueues: (topic) => this.#ask({ kind: 'route', topic }, () => broker.readableQueues(topic)),
      // The broker tells of every change.
      track: () => undefined,
      untrack: () => undefined,
      onChange: (listener) => broker.store.onRouteChange(listener),
    };
  }

  join(member: GroupMember): void {
    this.#membership.join();
    this.#member = member;
    this.#joined.add(this);
  }

  async leave(): Promise<void> {
    const { broker, log } = this.#context;
    this.#member = undefined;
    this.#joined.delete(this);
    try {
      await this.#ask({ kind: 'unregister', group: this.#group }, () =>
        broker.group(this.#group).remove(this.clientId),
      );
    } catch (error) {
      const { group } = this.#profile;
      log('debug', `Group "${group}" was not told that a member left; it notices by the heartbeats.`, error);
    }
    this.#membership.leave();
  }

  async heartbeat(): Promise<void> {
    if (!this.#member) return;
    const { broker, log } = this.#context;
    const { broadcasting, group, type } = this.#profile;
    const retries = type === 'push' && !broadcasting;
    try {
      await this.#ask({ kind: 'heartbeat', group: this.#group }, () =>
        broker.heartbeat(this.#group, this, retries),
      );
    } catch (error) {
      log('debug', `A heartbeat of group "${group}" was lost; the next one follows.`, error);
    }
  }

  rebalanceNow(): void {
    this.#member?.rebalanceNow();
  }

  members(): Promise<readonly string[]> {
    const { broker } = this.#context;
    return this.#ask({ kind: 'members', group: this.#group }, () => broker.group(this.#group).memberIds());
  }

  async checkFilter(_queue: MessageQueue, subscription: TopicSubscription): Promise<void> {
    this.#pulls.matcherOf(subscription);
  }

  pull(request: PullRequest): Promise<PullResult> {
    return this.#pulls.pull(request);
  }

  forget(): void {
    // There is one broker, and nothing to remember of a queue.
  }

  needsHeartbeat(): boolean {
    return false;
  }

  localOffsets(): OffsetStore {
    const { broker } = this.#context;
    const table = (): ConsumerGroup => broker.localOffsets(this.#group, this.clientId);
    return new RemoteBrokerOffsetStore({
      committedOffset: (queue) => this.#offset(table, queue),
      commitOffset: (queue, offset) => this.#setOffset(table, queue, offset),
      onDisconnect: () => this.onDisconnect(),
    });
  }

  committedOffset(queue: MessageQueue): Promise<number | undefined> {
    return this.#offset(() => this.#offsets(), queue);
  }

  commitOffset(queue: MessageQueue, offset: number): Promise<void> {
    return this.#setOffset(() => this.#offsets(), queue, offset);
  }

  minOffset({ topic, queueId }: MessageQueue): Promise<number> {
    const { broker } = this.#context;
    return this.#ask({ kind: 'query-offset', topic, queueId }, () =>
      broker.startOffset(topic, queueId, 'first'),
    );
  }

  maxOffset({ topic, queueId }: MessageQueue): Promise<number> {
    const { broker } = this.#context;
    return this.#ask({ kind: 'query-offset', topic, queueId }, () =>
      broker.startOffset(topic, queueId, 'last'),
    );
  }

  searchOffset({ topic, queueId }: MessageQueue, timestamp: number): Promise<number> {
    const { broker } = this.#context;
    return this.#ask({ kind: 'query-offset', topic, queueId }, () =>
      broker.startOffset(topic, queueId, new Date(timestamp)),
    );
  }

  /** It forgets nothing as long as it is there. */
  onDisconnect(): () => void {
    return () => undefined;
  }

  lockQueues(_brokerName: string, queues: readonly MessageQueue[]): Promise<MessageQueue[]> {
    const { broker, requestTimeoutMs } = this.#context;
    return this.#ask(
      { kind: 'lock', group: this.#group },
      () =>
        queues.filter(({ topic, queueId }) => broker.group(this.#group).lock(this.clientId, topic, queueId)),
      Math.min(requestTimeoutMs, LOCK_TIMEOUT_MS),
    );
  }

  unlockQueues(_brokerName: string, queues: readonly MessageQueue[]): Promise<void> {
    const { broker, requestTimeoutMs } = this.#context;
    return this.#ask(
      { kind: 'unlock', group: this.#group },
      () => {
        for (const { topic, queueId } of queues) {
          broker.unlockQueue(this.#group, this.clientId, topic, queueId);
        }
      },
      Math.min(requestTimeoutMs, LOCK_TIMEOUT_MS),
    );
  }

  sendBack(_brokerName: string, position: StoredPosition, options: SendBackOptions): Promise<void> {
    const { broker } = this.#context;
    const { topic, queueId, queueOffset } = position;
    return this.#ask({ kind: 'send-back', group: this.#group, topic, queueId }, () => {
      const message = broker.messageAt(topic, queueId, queueOffset);
      broker.sendBack({ group: this.#group, message, ...options });
    });
  }

  sendToRetryTopic(message: ConsumedMessage, options: SendBackOptions): Promise<void> {
    const { broker } = this.#context;
    const { topic, queueId, properties } = message;
    return this.#ask(
      { kind: 'send-back', group: this.#group, topic, queueId, messageIds: [messageIdOf(properties)] },
      () => broker.sendBack({ group: this.#group, message, ...options }),
    );
  }

  close(): void {
    // Nothing is held for a consumer.
  }

  #offsets(): ConsumerGroup {
    return this.#context.broker.group(this.#group);
  }

  #offset(table: () => ConsumerGroup, { topic, queueId }: MessageQueue): Promise<number | undefined> {
    return this.#ask({ kind: 'query-offset', group: this.#group, topic, queueId }, () =>
      table().offset(topic, queueId),
    );
  }

  #setOffset(table: () => ConsumerGroup, { topic, queueId }: MessageQueue, offset: number): Promise<void> {
    return this.#ask({ kind: 'update-offset', group: this.#group, topic, queueId }, () =>
      table().setOffset(topic, queueId, offset),
    );
  }

  #ask<T>(
    request: Omit<BrokerRequest, 'clientId'>,
    act: () => T | Promise<T>,
    timeoutMs: number = this.#context.requestTimeoutMs,
  ): Promise<T> {
    return this.#context.connection.request(request, act, { timeoutMs });
  }
}
