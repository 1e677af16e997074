import { atMost } from '../clock.js';
import type { MessageQueue, ReceivedMessage } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { PullConsumer, PullConsumerOptions } from '../pull-consumer.js';
import type { Subscription } from '../subscription.js';
import { AssignedQueues } from './assigned-queues.js';
import type { ConsumerBroker, ConsumerEngine } from './consumer-broker.js';
import { ConsumerReports } from './consumer-reports.js';
import { FlowControl } from './flow-control.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import { PollService } from './poll-service.js';
import type { ProcessQueue } from './process-queue.js';
import { PullMessageService } from './pull-message-service.js';
import { resolvePullOptions } from './pull-consumer-options.js';
import { queueKey } from './queue-key.js';
import { QueueChanges } from './queue-changes.js';
import { Rebalance } from './rebalance.js';
import { RemoteBrokerOffsetStore } from './remote-broker-offset-store.js';
import { StartPosition } from './start-position.js';
import { SubscriptionTable } from './subscription-table.js';
import { TopicSubscriptions } from './topic-subscriptions.js';

const DEFAULT_POLL_TIMEOUT_MS = 5_000;
/** How long the end waits for what was begun before, milliseconds. */
const STOP_MS = 1_000;
/** As the push consumer's defaults; poll decides about the pace, not the flow control. */
const LONG_POLLING_MS = 15_000;
const PULL_BATCH_SIZE = 32;
const MAX_CACHED_BYTES = 104_857_600;
const MAX_OFFSET_SPAN = 2_000;
const REBALANCE_INTERVAL_MS = 20_000;

/**
 * @param onClosed called once, when nothing of the consumer is left
 * @throws RocketMQError `INVALID_CONFIGURATION` or `INVALID_ARGUMENT`
 */
export function createPullConsumer(
  engine: ConsumerEngine,
  options: PullConsumerOptions,
  onClosed: () => void,
): PullConsumer {
  return new DefaultPullConsumer(engine, resolvePullOptions(options), onClosed);
}

/** The pull consumer of every engine. (Java: `DefaultLitePullConsumerImpl`.) */
class DefaultPullConsumer implements PullConsumer {
  readonly group: string;
  readonly #engine: ConsumerEngine;
  readonly #options: Required<PullConsumerOptions>;
  readonly #broker: ConsumerBroker;
  readonly #subscriptions: SubscriptionTable;
  readonly #topics: TopicSubscriptions;
  readonly #offsets: OffsetStore;
  readonly #startPosition: StartPosition;
  readonly #polls: PollService;
  readonly #pulls: PullMessageService;
  readonly #assigned: AssignedQueues;
  readonly #rebalance: Rebalance;
  readonly #queueChanges: QueueChanges;
  readonly #paused = new Set<string>();
  /** How queues come here: shared out among the group, or named by the caller. */
  #mode: 'subscribe' | 'assign' | undefined;
  readonly #onClosed: () => void;
  #rebalancing = false;
  #nextAutoCommit = 0;
  /** Whether the group's name at the client is ours: another consumer may have it. */
  #registered = false;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(engine: ConsumerEngine, options: Required<PullConsumerOptions>, onClosed: () => void) {
    const { clock, log, namespace } = engine;
    this.group = options.group;
    this.#onClosed = onClosed;
    this.#engine = engine;
    this.#options = options;
    const brokerGroup = namespace.wrap(options.group);
    const broker = engine.brokerOf({
      group: options.group,
      brokerGroup,
      type: 'pull',
      orderly: false,
      broadcasting: false,
      startFrom: options.startFrom,
      concurrency: 1,
    });
    const reports = new ConsumerReports(options.group, log);
    const isPaused = ({ key }: ProcessQueue): boolean => this.#paused.has(key);
    const flow = new FlowControl(
      { maxMessages: options.maxCachedMessages, maxBytes: MAX_CACHED_BYTES, maxSpan: MAX_OFFSET_SPAN },
      () => this.#assigned,
      isPaused,
    );
    this.#broker = broker;
    this.#subscriptions = new SubscriptionTable(namespace, clock);
    this.#topics = new TopicSubscriptions(namespace, this.#subscriptions, broker);
    this.#offsets = new RemoteBrokerOffsetStore(broker);
    this.#polls = new PollService(clock, isPaused, () => {
      if (flow.holdsBack) flow.roomMade();
    });
    this.#pulls = new PullMessageService(clock, broker, this.#subscriptions, flow, reports, {
      batchSize: PULL_BATCH_SIZE,
      longPollingMs: LONG_POLLING_MS,
      postSubscription: true,
      commitWithPull: false,
      onMessages: (processQueue) => this.#polls.submit(processQueue),
      onReset: (processQueue, offset) => void this.#assigned.reset(processQueue, offset),
      onUnreadable: async ({ key }, { error }) => reports.error(`reading a message of ${key}`, error),
    });
    const offsets = options.autoCommit ? this.#offsets : withoutCommits(this.#offsets);
    this.#startPosition = new StartPosition(options.startFrom, offsets, broker, clock, reports);
    this.#assigned = new AssignedQueues({
      clock,
      reports,
      offsets,
      locks: undefined,
      service: this.#polls,
      pulls: this.#pulls,
      startOffset: (queue) => this.#startPosition.of(queue),
      isSubscribed: (topic) => this.#subscriptions.get(topic) !== undefined,
      onAssigned: () => undefined,
    });
    this.#rebalance = new Rebalance(
      engine,
      broker,
      {
        group: brokerGroup,
        intervalMs: REBALANCE_INTERVAL_MS,
        strategy: options.allocateStrategy,
        broadcasting: false,
        topics: () => this.#subscriptions.topics(),
        assign: (topic, queues) => this.#assigned.assign(topic, queues),
        onComplete: (topic) => this.#startPosition.settled(topic),
      },
      reports,
    );
    this.#queueChanges = new QueueChanges(broker.routes, log);
  }

  start(): Promise<void> {
    if (this.#closing) return Promise.reject(this.#closed());
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async subscribe(subscription: Subscription): Promise<void> {
    await this.#use('subscribe');
    const { topic } = await this.#topics.add(subscription);
    await this.#broker.heartbeat();
    this.#pulls.interrupt(topic);
    if (!this.#rebalancing) {
      this.#rebalancing = true;
      this.#rebalance.start();
    }
    await this.#rebalance.round();
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.#use('subscribe');
    const removed = this.#topics.remove(topic);
    if (removed === undefined) return;
    await this.#assigned.release(removed);
    this.#startPosition.forget(removed);
    await this.#broker.heartbeat();
  }

  async assign(queues: readonly MessageQueue[]): Promise<void> {
    await this.#use('assign');
    const byTopic = new Map<string, MessageQueue[]>(this.#subscriptions.topics().map((topic) => [topic, []]));
    for (const queue of queues.map((given) => this.#wrap(given))) {
      const known = byTopic.get(queue.topic);
      if (known) known.push(queue);
      else byTopic.set(queue.topic, [queue]);
    }
    for (const [topic, ofTopic] of byTopic) {
      if (ofTopic.length === 0) {
        this.#topics.remove(topic);
        await this.#assigned.release(topic);
        continue;
      }
      if (!this.#subscriptions.get(topic)) await this.#topics.add({ topic });
      if (!(await this.#assigned.assign(topic, ofTopic))) {
        throw new RocketMQError(
          'CONNECTION_FAILED',
          `Not all queues of "${topic}" could be taken up: their offsets cannot be read now. Look at the log for the reason and assign again.`,
          { retryable: true },
        );
      }
    }
  }

  assignment(): readonly MessageQueue[] {
    return Array.from(this.#assigned, ({ queue }) => this.#unwrap(queue)).sort(
      (a, b) => compare(a.topic, b.topic) || compare(a.brokerName, b.brokerName) || a.queueId - b.queueId,
    );
  }

  async poll(timeoutMs: number = DEFAULT_POLL_TIMEOUT_MS): Promise<readonly ReceivedMessage[]> {
    await this.#started();
    await this.#autoCommit();
    return this.#polls.poll(this.#options.pollBatchSize, timeoutMs, () => this.#closing !== undefined);
  }

  async seek(queue: MessageQueue, offset: number | 'begin' | 'end'): Promise<void> {
    await this.#started();
    const wrapped = this.#wrap(queue);
    const min = await this.#broker.minOffset(wrapped);
    const max = await this.#broker.maxOffset(wrapped);
    const target = offset === 'begin' ? min : offset === 'end' ? max : offset;
    if (!Number.isInteger(target) || target < min || target > max) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Offset ${target} is not in queue ${queueKey(queue)}, which has ${min} to ${max}. Give one of these, "begin" or "end".`,
      );
    }
    await this.#assigned.reset(this.#owned(queue), target);
  }

  pause(queues: readonly MessageQueue[]): void {
    for (const queue of queues) this.#paused.add(queueKey(this.#wrap(queue)));
  }

  resume(queues: readonly MessageQueue[]): void {
    const keys = new Set(queues.map((queue) => queueKey(this.#wrap(queue))));
    for (const key of keys) this.#paused.delete(key);
    for (const processQueue of this.#assigned) {
      if (keys.has(processQueue.key)) this.#polls.submit(processQueue);
    }
    this.#pulls.resume();
  }

  async commit(offsets?: ReadonlyMap<MessageQueue, number>): Promise<void> {
    await this.#started();
    if (!offsets) {
      await this.#offsets.persist(this.#assigned.committable());
      return;
    }
    const given: CommittableOffset[] = [];
    for (const [queue, offset] of offsets) given.push({ queue: this.#owned(queue).queue, offset });
    await this.#offsets.persist(given);
  }

  async committed(queue: MessageQueue): Promise<number | undefined> {
    await this.queues(queue.topic);
    return this.#broker.committedOffset(this.#wrap(queue));
  }

  async queues(topic: string): Promise<readonly MessageQueue[]> {
    const queues = await this.#broker.routes.subscribeQueues(this.#engine.namespace.wrap(topic));
    return queues.map((queue) => this.#unwrap(queue));
  }

  async offsetForTimestamp(queue: MessageQueue, timestamp: Date): Promise<number> {
    await this.queues(queue.topic);
    return this.#broker.searchOffset(this.#wrap(queue), timestamp.getTime());
  }

  onQueuesChanged(topic: string, listener: (queues: readonly MessageQueue[]) => void): () => void {
    return this.#queueChanges.watch(this.#engine.namespace.wrap(topic), (queues) =>
      listener(queues.map((queue) => this.#unwrap(queue))),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().finally(this.#onClosed);
    return this.#closing;
  }

  async #start(): Promise<void> {
    try {
      this.#broker.join({
        subscriptions: () => this.#subscriptions.all(),
        rebalanceNow: () => this.#rebalance.trigger(),
        offsetsStatus: (topic) => this.#assigned.committable().filter(({ queue }) => queue.topic === topic),
        queues: this.#assigned,
        isLocked: () => false,
      });
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
    this.#registered = true;
    await this.#broker.heartbeat();
  }

  async #started(): Promise<void> {
    if (this.#closing) throw this.#closed();
    if (!this.#starting) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `The pull consumer of group "${this.group}" is not started. Call start() first.`,
      );
    }
    await this.#starting;
  }

  async #use(mode: 'subscribe' | 'assign'): Promise<void> {
    await this.#started();
    this.#mode ??= mode;
    if (this.#mode === mode) return;
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `The pull consumer of group "${this.group}" uses ${this.#mode}() already. Use a second consumer for ${mode}().`,
    );
  }

  async #autoCommit(): Promise<void> {
    if (!this.#options.autoCommit) return;
    const now = this.#engine.clock.monotonic();
    if (now < this.#nextAutoCommit) return;
    this.#nextAutoCommit = now + this.#options.autoCommitIntervalMs;
    try {
      await this.#offsets.persist(this.#assigned.committable());
    } catch (error) {
      const { log } = this.#engine;
      log(
        'warn',
        `Group "${this.group}" could not store its offsets; it tries again with a later poll.`,
        error,
      );
    }
  }

  async #close(): Promise<void> {
    const stopped = Promise.all([this.#rebalance.stop(), this.#starting?.catch(() => undefined)]);
    this.#queueChanges.close();
    this.#pulls.stopAll();
    await this.#polls.drain();
    await this.#assigned.close();
    await this.#offsets.close();
    this.#broker.close();
    await atMost(this.#engine.clock, STOP_MS, stopped);
    if (this.#registered) await this.#broker.leave();
    this.#topics.removeAll();
  }

  #owned(queue: MessageQueue): ProcessQueue {
    const key = queueKey(this.#wrap(queue));
    for (const processQueue of this.#assigned) if (processQueue.key === key) return processQueue;
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `Queue ${queueKey(queue)} is not assigned to this consumer. See assignment() for those that are.`,
    );
  }

  #wrap(queue: MessageQueue): MessageQueue {
    return { ...queue, topic: this.#engine.namespace.wrap(queue.topic) };
  }

  #unwrap(queue: MessageQueue): MessageQueue {
    return { ...queue, topic: this.#engine.namespace.unwrap(queue.topic) };
  }

  #closed(): RocketMQError {
    return new RocketMQError('CLOSED', `The consumer of group "${this.group}" is closed. Create a new one.`);
  }
}

/** Committing is the caller's own affair: nothing is stored when queues come and go. */
function withoutCommits(store: OffsetStore): OffsetStore {
  return {
    read: (queue) => store.read(queue),
    lastKnown: (queue) => store.lastKnown(queue),
    persist: () => Promise.resolve(),
    forget: (queue) => store.forget(queue),
    close: () => store.close(),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
