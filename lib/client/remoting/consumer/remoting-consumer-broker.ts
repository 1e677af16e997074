import type { MessageQueue, ReceivedMessage } from '../../../message/message.js';
import { BrokerError } from '../../broker-error.js';
import type {
  ConsumerBroker,
  ConsumerEngine,
  ConsumerProfile,
  GroupMember,
  PulledMessage,
  PullRequest,
  PullResult,
  QueueRoutes,
  SendBackOptions,
  UnreadableMessage,
} from '../../consumer/consumer-broker.js';
import type { ConsumerReports } from '../../consumer/consumer-reports.js';
import type { OffsetStore } from '../../consumer/offset-store.js';
import type { StoredMessage } from '../../consumer/stored-message.js';
import type { TopicSubscription } from '../../consumer/topic-subscription.js';
import type { ClientInstance } from '../client-instance.js';
import { RetryTopicSender } from '../producer/retry-topic-sender.js';
import { toReceivedMessage } from '../protocol/received-message.js';
import { ResponseCode } from '../protocol/response-code.js';
import { subscriptionDataOf } from '../protocol/subscription-data.js';
import { consumerData } from './consumer-data.js';
import { ConsumerRequests } from './consumer-requests.js';
import { encodeConsumerRunningInfo } from './consumer-running-info.js';
import { LocalFileOffsetStore } from './local-file-offset-store.js';
import { PullRequests, type PullAnswer } from './pull-requests.js';

/** What the consumers of a client get from the remoting protocol. */
export function remotingConsumerEngine(instance: ClientInstance): ConsumerEngine {
  const { clientId, clock, log, namespace } = instance;
  return {
    clientId,
    clock,
    log,
    namespace,
    brokerOf: (profile) => new RemotingConsumerBroker(instance, profile),
  };
}

/** One consumer's way to real brokers. */
class RemotingConsumerBroker extends ConsumerRequests implements ConsumerBroker {
  readonly routes: QueueRoutes;
  readonly #instance: ClientInstance;
  readonly #profile: ConsumerProfile;
  readonly #pulls: PullRequests;
  #retryTopic: RetryTopicSender | undefined;

  constructor(instance: ClientInstance, profile: ConsumerProfile) {
    super(instance, profile.brokerGroup);
    this.#instance = instance;
    this.#profile = profile;
    this.routes = instance.routes;
    this.#pulls = new PullRequests(instance, profile.brokerGroup);
  }

  join(member: GroupMember): void {
    const { clock, nameServer } = this.#instance;
    const startTimestamp = clock.now();
    this.#instance.registerConsumer(this.#profile.brokerGroup, {
      consumerData: () => consumerData(this.#profile, member),
      rebalanceNow: () => member.rebalanceNow(),
      ...(member.resetOffsets && { resetOffsets: member.resetOffsets.bind(member) }),
      offsetsStatus: (topic) => member.offsetsStatus(topic),
      runningInfo: () =>
        encodeConsumerRunningInfo(this.#profile, member, startTimestamp, nameServer.addresses),
    });
  }

  leave(): Promise<void> {
    return this.#instance.unregisterConsumer(this.#profile.brokerGroup);
  }

  heartbeat(): Promise<void> {
    return this.#instance.heartbeat();
  }

  members(topic: string): Promise<readonly string[]> {
    return this.#instance.consumerIds(this.#profile.brokerGroup, topic);
  }

  /** Tags are understood everywhere. */
  async checkFilter({ brokerName }: MessageQueue, subscription: TopicSubscription): Promise<void> {
    if (subscription.type === 'sql92') {
      await this.checkSubscription(brokerName, subscriptionDataOf(subscription));
    }
  }

  async pull(request: PullRequest): Promise<PullResult> {
    const answer = await this.#pulls.pull(request);
    return answer.status === 'found' ? this.#found(request, answer) : answer;
  }

  forget(queue: MessageQueue): void {
    this.#pulls.forget(queue);
  }

  needsHeartbeat(error: unknown): boolean {
    if (!(error instanceof BrokerError)) return false;
    switch (error.responseCode) {
      case ResponseCode.SUBSCRIPTION_NOT_EXIST:
      case ResponseCode.SUBSCRIPTION_NOT_LATEST:
      case ResponseCode.FILTER_DATA_NOT_EXIST:
      case ResponseCode.FILTER_DATA_NOT_LATEST:
        return true;
      default:
        return false;
    }
  }

  localOffsets(folder: string | undefined, reports: ConsumerReports): OffsetStore {
    return new LocalFileOffsetStore(this.#instance, this.#profile.group, folder, reports);
  }

  onDisconnect(listener: () => void): () => void {
    return this.#instance.channels.onDisconnect(listener);
  }

  async sendToRetryTopic(message: StoredMessage, options: SendBackOptions): Promise<void> {
    this.#retryTopic ??= new RetryTopicSender(this.#instance);
    const timeoutMs = this.#instance.requestTimeoutMs;
    await this.#retryTopic.send(this.#profile.brokerGroup, message, { ...options, timeoutMs });
  }

  close(): void {
    this.#retryTopic?.close();
  }

  #found(
    { queue, subscription, offset }: PullRequest,
    answer: Extract<PullAnswer, { status: 'found' }>,
  ): PullResult {
    const messages: PulledMessage[] = [];
    const unreadable: UnreadableMessage[] = [];
    let { nextOffset } = answer;
    let last = offset - 1;
    for (const stored of answer.messages) {
      if (stored.error) {
        unreadable.push(stored);
        // Not even its position is known, and with it where the following messages are: one step on.
        if (stored.queueOffset < 0) nextOffset = Math.min(nextOffset, Math.max(last, offset) + 1);
        continue;
      }
      last = stored.queueOffset;
      const message = this.#unwrap(toReceivedMessage(stored, queue.brokerName));
      if (passesTagFilter(subscription, message)) messages.push({ message, stored });
    }
    return { status: 'found', messages, unreadable, nextOffset };
  }

  #unwrap(message: ReceivedMessage): ReceivedMessage {
    const { namespace } = this.#instance;
    return namespace.name === undefined ? message : { ...message, topic: namespace.unwrap(message.topic) };
  }
}

/** The broker compares hash codes of tags only; this compares the tags. (Java: `PullAPIWrapper.processPullResult`.) */
function passesTagFilter({ tags }: TopicSubscription, { tag }: ReceivedMessage): boolean {
  return tags.length === 0 || (tag !== undefined && tags.includes(tag));
}
