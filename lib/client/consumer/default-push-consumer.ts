import { atMost } from '../clock.js';
import type { MessageQueue } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { CachedMessages, ConsumerEvent, PushConsumer, PushConsumerOptions } from '../push-consumer.js';
import type { Subscription } from '../subscription.js';
import { AssignedQueues } from './assigned-queues.js';
import type { ConsumeMessageService } from './consume-message-service.js';
import type { ConsumerBroker, ConsumerEngine, GroupMember } from './consumer-broker.js';
import { ConsumerReports } from './consumer-reports.js';
import { createConsumeService } from './create-consume-service.js';
import { FlowControl } from './flow-control.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import { PauseSwitch } from './pause-switch.js';
import { Periodic } from './periodic.js';
import { PullMessageService } from './pull-message-service.js';
import { resolvePushOptions, type ResolvedPushOptions } from './push-consumer-options.js';
import { queueKey } from './queue-key.js';
import { QueueLocks } from './queue-locks.js';
import { Rebalance } from './rebalance.js';
import { RemoteBrokerOffsetStore } from './remote-broker-offset-store.js';
import { retryTopicOf } from '../group-topics.js';
import { StartPosition } from './start-position.js';
import { SubscriptionTable } from './subscription-table.js';
import { TopicSubscriptions } from './topic-subscriptions.js';
import { UndecodableMessages } from './undecodable-messages.js';
import { untilAborted } from './until-aborted.js';

/** Of {@link PushConsumer.close}. */
const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;
/** How long the end waits for what was begun before, milliseconds. */
const STOP_MS = 1_000;

/**
 * @param onClosed called once, when nothing of the consumer is left
 * @throws RocketMQError `INVALID_CONFIGURATION` or `INVALID_ARGUMENT`
 */
export function createPushConsumer(
  engine: ConsumerEngine,
  options: PushConsumerOptions,
  onClosed: () => void,
): PushConsumer {
  return new DefaultPushConsumer(engine, resolvePushOptions(options), onClosed);
}

/** The push consumer of every engine. (Java: `DefaultMQPushConsumerImpl`.) */
class DefaultPushConsumer implements PushConsumer {
  readonly group: string;
  readonly #engine: ConsumerEngine;
  readonly #broker: ConsumerBroker;
  readonly #options: ResolvedPushOptions;
  /** As the broker knows it. */
  readonly #brokerGroup: string;
  readonly #subscriptions: SubscriptionTable;
  readonly #topics: TopicSubscriptions;
  readonly #reports: ConsumerReports;
  readonly #pauses = new PauseSwitch();
  readonly #offsets: OffsetStore;
  readonly #startPosition: StartPosition;
  readonly #locks: QueueLocks | undefined;
  readonly #flow: FlowControl;
  readonly #service: ConsumeMessageService;
  readonly #pulls: PullMessageService;
  readonly #assigned: AssignedQueues;
  readonly #rebalance: Rebalance;
  readonly #persisting: Periodic;
  readonly #onClosed: () => void;
  /** Whether the group's name at the client is ours: another consumer may have it. */
  #registered = false;
  #starting: Promise<void> | undefined;
  #closing: Promise<{ readonly abandoned: number }> | undefined;

  constructor(engine: ConsumerEngine, options: ResolvedPushOptions, onClosed: () => void) {
    const { clock, log, namespace } = engine;
    this.group = options.group;
    this.#onClosed = onClosed;
    this.#engine = engine;
    this.#options = options;
    this.#brokerGroup = namespace.wrap(options.group);
    const broadcasting = options.model === 'broadcasting';
    const orderly = options.mode === 'orderly';
    const broker = engine.brokerOf({
      group: options.group,
      brokerGroup: this.#brokerGroup,
      type: 'push',
      orderly,
      broadcasting,
      startFrom: options.startFrom,
      concurrency: options.concurrency,
    });
    this.#broker = broker;
    this.#reports = new ConsumerReports(options.group, log);
    this.#subscriptions = new SubscriptionTable(namespace, clock);
    this.#topics = new TopicSubscriptions(namespace, this.#subscriptions, broker);
    this.#offsets = broadcasting
      ? broker.localOffsets(options.offsetStoreFolder, this.#reports)
      : new RemoteBrokerOffsetStore(broker);
    this.#startPosition = new StartPosition(options.startFrom, this.#offsets, broker, clock, this.#reports);
    this.#locks =
      orderly && !broadcasting
        ? new QueueLocks(broker, clock, this.#reports, (processQueue) => {
            this.#assigned.lose(processQueue);
            this.#rebalance.trigger();
          })
        : undefined;
    this.#flow = new FlowControl(
      {
        maxMessages: options.maxCachedMessages,
        maxBytes: options.maxCachedBytes,
        // One slow message holds up the whole queue anyway.
        maxSpan: orderly ? Infinity : options.maxOffsetSpan,
      },
      () => this.#assigned,
      ({ queue }) => this.#pauses.isPaused(namespace.unwrap(queue.topic)),
    );
    this.#service = createConsumeService(options, {
      clock,
      broker,
      reports: this.#reports,
      locks: this.#locks,
      accept: ({ topic }) => !this.#pauses.isPaused(topic),
      onRoom: () => {
        if (this.#flow.holdsBack) this.#flow.roomMade();
      },
    });
    const undecodable = new UndecodableMessages(broker, this.#reports, {
      broadcasting,
      orderly,
      maxReconsumeTimes: options.maxReconsumeTimes,
    });
    this.#pulls = new PullMessageService(clock, broker, this.#subscriptions, this.#flow, this.#reports, {
      batchSize: options.pullBatchSize,
      longPollingMs: options.longPollingMs,
      postSubscription: false,
      // Not in order: a pull that the broker handles late would set the offset back behind a queue's hand-over.
      commitWithPull: !broadcasting && !orderly,
      onMessages: (processQueue) => this.#service.submit(processQueue),
      onReset: (processQueue, offset) => void this.#assigned.reset(processQueue, offset),
      onUnreadable: (processQueue, message) => undecodable.putAside(processQueue, message),
    });
    this.#assigned = new AssignedQueues({
      clock,
      reports: this.#reports,
      offsets: this.#offsets,
      locks: this.#locks,
      service: this.#service,
      pulls: this.#pulls,
      startOffset: (queue) => this.#startPosition.of(queue),
      isSubscribed: (topic) => this.#subscriptions.get(topic) !== undefined,
      onAssigned: (topic) => this.#announce(topic),
    });
    this.#rebalance = new Rebalance(
      engine,
      broker,
      {
        group: this.#brokerGroup,
        intervalMs: options.rebalanceIntervalMs,
        strategy: options.allocateStrategy,
        broadcasting,
        topics: () => this.#subscriptions.topics(),
        assign: (topic, queues) => this.#assigned.assign(topic, queues),
        onComplete: (topic) => this.#startPosition.settled(topic),
      },
      this.#reports,
    );
    this.#persisting = new Periodic(clock, options.offsetPersistIntervalMs, () => this.#persist());
  }

  get inFlight(): number {
    return this.#service.inFlight;
  }

  cached(): CachedMessages {
    let [messages, bytes] = [0, 0];
    for (const queue of this.#assigned) {
      messages += queue.count;
      bytes += queue.bytes;
    }
    return { messages, bytes };
  }

  start(): Promise<void> {
    if (this.#closing) return Promise.reject(this.#closed());
    this.#starting ??= this.#start();
    return this.#starting;
  }

  pause(topic?: string): void {
    this.#pauses.pause(topic);
  }

  resume(topic?: string): void {
    this.#pauses.resume(topic);
    for (const processQueue of this.#assigned) this.#service.submit(processQueue);
    this.#pulls.resume();
  }

  async subscribe(subscription: Subscription): Promise<void> {
    if (this.#closing) throw this.#closed();
    const data = await this.#topics.add(subscription);
    if (!this.#starting) return;
    // Brokers refuse pulls of a subscription they have not heard of.
    await this.#broker.heartbeat();
    this.#pulls.interrupt(data.topic);
    await this.#rebalance.round();
  }

  async unsubscribe(topic: string): Promise<void> {
    const removed = this.#topics.remove(topic);
    if (removed === undefined) return;
    await this.#assigned.release(removed);
    this.#startPosition.forget(removed);
    if (this.#starting && !this.#closing) await this.#broker.heartbeat();
  }

  whenAssigned(signal?: AbortSignal): Promise<void> {
    return untilAborted(this.#rebalance.balanced, signal, this.group);
  }

  assignment(): readonly string[] {
    return Array.from(this.#assigned, ({ queue }) => this.#displayName(queue)).sort();
  }

  onEvent(listener: (event: ConsumerEvent) => void): void {
    this.#reports.onEvent(listener);
  }

  close(drainTimeoutMs: number = DEFAULT_DRAIN_TIMEOUT_MS): Promise<{ readonly abandoned: number }> {
    this.#closing ??= this.#close(drainTimeoutMs).finally(this.#onClosed);
    return this.#closing;
  }

  async #start(): Promise<void> {
    try {
      await this.#topics.addFirst(this.#options.subscriptions, (topic, error) =>
        this.#reports.error(`subscribing to ${topic}`, error),
      );
      // What members of the group gave back; the broker creates it when it hears of the group.
      if (this.#options.model === 'clustering') this.#topics.addUnchecked(retryTopicOf(this.#brokerGroup));
      if (this.#closing) throw this.#closed();
      this.#broker.join(this.#member());
      this.#registered = true;
      await this.#broker.heartbeat();
      if (this.#closing) throw this.#closed();
      this.#rebalance.start();
      this.#persisting.start();
    } catch (error) {
      this.#topics.removeAll();
      await this.#leave();
      this.#starting = undefined;
      throw error;
    }
  }

  #member(): GroupMember {
    return {
      subscriptions: () => this.#subscriptions.all(),
      rebalanceNow: () => this.#rebalance.trigger(),
      resetOffsets: (topic, offsets) => this.#resetOffsets(topic, offsets),
      offsetsStatus: (topic) => this.#assigned.committable().filter(({ queue }) => queue.topic === topic),
      queues: this.#assigned,
      isLocked: (processQueue) => this.#locks?.isHeld(processQueue) ?? false,
    };
  }

  async #resetOffsets(topic: string, offsets: readonly CommittableOffset[]): Promise<void> {
    const byKey = new Map(offsets.map(({ queue, offset }) => [queueKey(queue), offset]));
    await Promise.all(
      Array.from(this.#assigned, async (processQueue) => {
        const offset = byKey.get(processQueue.key);
        if (offset === undefined || processQueue.queue.topic !== topic) return;
        this.#reports.info(`${processQueue.key} is reset to offset ${offset} by an operator.`);
        await this.#assigned.reset(processQueue, offset);
      }),
    );
  }

  async #persist(): Promise<void> {
    const context = 'storing offsets';
    try {
      await this.#offsets.persist(this.#assigned.committable());
      this.#reports.working(context);
    } catch (error) {
      this.#reports.failing(context, error);
    }
  }

  async #close(drainTimeoutMs: number): Promise<{ readonly abandoned: number }> {
    const { clock } = this.#engine;
    const stopped = Promise.all([this.#rebalance.stop(), this.#starting?.catch(() => undefined)]);
    this.#persisting.close();
    this.#pulls.stopAll();
    const abandoned = await this.#service.drain(drainTimeoutMs);
    await this.#assigned.close();
    await this.#offsets.close();
    this.#broker.close();
    // A broker that does not answer may hold up a round of rebalancing; it ends by itself and changes nothing any more.
    await atMost(clock, STOP_MS, stopped);
    await this.#leave();
    this.#topics.removeAll();
    return { abandoned };
  }

  async #leave(): Promise<void> {
    if (!this.#registered) return;
    this.#registered = false;
    await this.#broker.leave();
  }

  #announce(topic: string): void {
    if (this.#closing) return;
    const queues = Array.from(this.#assigned, ({ queue }) => queue).filter((queue) => queue.topic === topic);
    const names = queues.map((queue) => this.#displayName(queue)).sort();
    this.#reports.emit({ type: 'assigned', topic: this.#engine.namespace.unwrap(topic), queues: names });
  }

  #displayName(queue: MessageQueue): string {
    return queueKey({ ...queue, topic: this.#engine.namespace.unwrap(queue.topic) });
  }

  #closed(): RocketMQError {
    return new RocketMQError('CLOSED', `The consumer of group "${this.group}" is closed. Create a new one.`);
  }
}
