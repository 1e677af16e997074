import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ClockTimer } from '../../clock.js';
import type {
  CachedMessages,
  ConsumerEvent,
  PushConsumer,
  PushConsumerOptions,
} from '../../push-consumer.js';
import type { Subscription } from '../../subscription.js';
import { topicNotFound } from '../broker-answer.js';
import type { GroupMember } from '../consumer-group.js';
import { compileFilter, type MessageMatcher } from '../filter/message-matcher.js';
import { retryTopicOf } from '../group-topics.js';
import type { MemoryClientContext, Membership } from '../memory-client-context.js';
import { AssignedQueues } from './assigned-queues.js';
import { ConcurrentConsumption } from './concurrent-consumption.js';
import { ConsumerReports } from './consumer-reports.js';
import { pushConsumerSettings, type PushConsumerSettings } from './consumer-settings.js';
import type { Consumption, ConsumptionContext } from './consumption.js';
import { FlowControl } from './flow-control.js';
import { OffsetKeeper } from './offset-keeper.js';
import { OrderlyConsumption } from './orderly-consumption.js';
import { PullLoop } from './pull-loop.js';
import { QueueLocks } from './queue-locks.js';
import { QueueSharing } from './queue-sharing.js';
import { SendBack } from './send-back.js';

const EVERYTHING: MessageMatcher = () => true;

/** What a client does with its consumers. */
export interface ConsumerOfClient {
  /** Says that it is still there. Never rejects. */
  heartbeat(): Promise<void>;
  /** The process died: nothing more reaches the broker, nothing more is handled. */
  die(): void;
  close(): Promise<unknown>;
}

/** Receives messages from the in-process broker. */
export class MemoryPushConsumer implements PushConsumer, GroupMember, ConsumerOfClient {
  readonly group: string;
  readonly clientId: string;
  readonly #context: MemoryClientContext;
  readonly #settings: PushConsumerSettings;
  /** As the broker knows them. */
  readonly #group: string;
  readonly #retryTopic: string;
  readonly #matchers = new Map<string, MessageMatcher>();
  readonly #paused = new Set<string>();
  readonly #reports: ConsumerReports;
  readonly #flow: FlowControl;
  readonly #consumption: Consumption;
  readonly #pulls: PullLoop;
  readonly #queues: AssignedQueues;
  readonly #sharing: QueueSharing;
  readonly #membership: Membership;
  #allPaused = false;
  #persistTimer: ClockTimer;
  #state: 'new' | 'started' | 'closed' = 'new';
  #closing: Promise<{ readonly abandoned: number }> | undefined;

  /** @throws RocketMQError `INVALID_ARGUMENT` or `INVALID_CONFIGURATION` */
  constructor(context: MemoryClientContext, options: PushConsumerOptions, membership: Membership) {
    const settings = pushConsumerSettings(options);
    this.#context = context;
    this.#settings = settings;
    this.#membership = membership;
    this.group = settings.group;
    this.clientId = context.clientId;
    this.#group = context.namespace.wrap(settings.group);
    this.#retryTopic = retryTopicOf(this.#group);
    this.#reports = new ConsumerReports(settings.group, context.log);
    this.#flow = new FlowControl(
      {
        maxMessages: settings.maxCachedMessages,
        maxBytes: settings.maxCachedBytes,
        maxSpan: settings.mode === 'concurrent' ? settings.maxOffsetSpan : Infinity,
      },
      () => this.#queues,
    );
    const locks = this.#createLocks();
    this.#consumption = this.#createConsumption(locks);
    this.#pulls = new PullLoop(context, this.#flow, this.#reports, {
      group: this.#group,
      batchSize: settings.pullBatchSize,
      longPollingMs: settings.longPollingMs,
      matcher: (topic) => this.#matchers.get(topic) ?? (topic === this.#retryTopic ? EVERYTHING : undefined),
      onMessages: (processQueue) => this.#consumption.submit(processQueue),
    });
    const offsets = new OffsetKeeper(context, {
      group: this.#group,
      broadcasting: this.#isBroadcasting,
      startFrom: settings.startFrom,
      isRetryTopic: (topic) => topic === this.#retryTopic,
    });
    this.#queues = new AssignedQueues({
      context,
      reports: this.#reports,
      offsets,
      locks,
      consumption: this.#consumption,
      pulls: this.#pulls,
      isSubscribed: (topic) => this.#topics().includes(topic),
      onAssigned: (topic) => this.#reportAssigned(topic),
    });
    this.#sharing = new QueueSharing(
      context,
      {
        group: this.#group,
        intervalMs: settings.rebalanceIntervalMs,
        strategy: settings.allocateStrategy,
        broadcasting: this.#isBroadcasting,
        topics: () => this.#topics(),
        heartbeat: () => this.heartbeat(),
        assign: (topic, queues) => this.#queues.assign(topic, queues),
        onComplete: (topic) => offsets.settled(topic),
      },
      this.#reports,
    );
  }

  get inFlight(): number {
    return this.#consumption.inFlight;
  }

  cached(): CachedMessages {
    let [messages, bytes] = [0, 0];
    for (const queue of this.#queues) {
      messages += queue.count;
      bytes += queue.bytes;
    }
    return { messages, bytes };
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    this.#assertOpen();
    const topics = this.#settings.subscriptions.map(({ topic }) => this.#context.namespace.wrap(topic));
    await this.#assertAnyExists(topics);
    for (const subscription of this.#settings.subscriptions) this.#setMatcher(subscription);
    this.#membership.join();
    await this.#register();
    this.#assertOpen();
    this.#state = 'started';
    this.#sharing.start();
    this.#schedulePersist();
  }

  pause(topic?: string): void {
    if (topic === undefined) this.#allPaused = true;
    else this.#paused.add(topic);
  }

  resume(topic?: string): void {
    if (topic === undefined) {
      this.#allPaused = false;
      this.#paused.clear();
    } else {
      this.#paused.delete(topic);
    }
    for (const processQueue of this.#queues) this.#consumption.submit(processQueue);
  }

  async subscribe(subscription: Subscription): Promise<void> {
    this.#assertOpen();
    await this.#assertAnyExists([this.#context.namespace.wrap(subscription.topic)]);
    this.#setMatcher(subscription);
    if (this.#state === 'started') await this.#sharing.round();
  }

  async unsubscribe(topic: string): Promise<void> {
    this.#assertOpen();
    const name = this.#context.namespace.wrap(topic);
    if (this.#matchers.delete(name)) await this.#queues.release(name);
  }

  async whenAssigned(signal?: AbortSignal): Promise<void> {
    const aborted = new RocketMQError(
      'ABORTED',
      `Waiting for the queues of group "${this.group}" was given up. They come as soon as other members let go of them.`,
    );
    if (signal?.aborted) throw aborted;
    let onAbort: () => void = () => undefined;
    const abort = new Promise<never>((_, reject) => {
      onAbort = () => reject(aborted);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    await Promise.race([this.#sharing.balanced, abort]).finally(() =>
      signal?.removeEventListener('abort', onAbort),
    );
  }

  assignment(): readonly string[] {
    const { namespace } = this.#context;
    return Array.from(this.#queues, ({ queue }) => queue)
      .map(({ topic, brokerName, queueId }) => `${namespace.unwrap(topic)}@${brokerName}:${queueId}`)
      .sort();
  }

  onEvent(listener: (event: ConsumerEvent) => void): void {
    this.#reports.onEvent(listener);
  }

  close(drainTimeoutMs = 10_000): Promise<{ readonly abandoned: number }> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  rebalanceNow(): void {
    this.#sharing.trigger();
  }

  async heartbeat(): Promise<void> {
    if (this.#state !== 'started') return;
    try {
      await this.#register();
      this.#reports.working('heartbeat');
    } catch (error) {
      this.#reports.failing('heartbeat', error);
    }
  }

  die(): void {
    this.#state = 'closed';
    this.#closing ??= Promise.resolve({ abandoned: 0 });
    this.#context.clock.clearTimeout(this.#persistTimer);
    this.#queues.forgetAll();
    void this.#sharing.stop();
    void this.#consumption.drain(0);
  }

  async #close(drainTimeoutMs: number): Promise<{ readonly abandoned: number }> {
    const wasStarted = this.#state === 'started';
    this.#state = 'closed';
    this.#context.clock.clearTimeout(this.#persistTimer);
    this.#pulls.stopAll();
    const sharing = this.#sharing.stop();
    const abandoned = await this.#consumption.drain(drainTimeoutMs);
    await sharing;
    await this.#queues.close();
    if (wasStarted) await this.#unregister();
    this.#membership.leave();
    return { abandoned };
  }

  get #isBroadcasting(): boolean {
    return this.#settings.model === 'broadcasting';
  }

  #createLocks(): QueueLocks | undefined {
    if (this.#settings.mode !== 'orderly' || this.#isBroadcasting) return undefined;
    return new QueueLocks(this.#context, this.#group, this.#reports, (processQueue) => {
      this.#queues.lose(processQueue);
      this.#sharing.trigger();
    });
  }

  #createConsumption(locks: QueueLocks | undefined): Consumption {
    const context: ConsumptionContext = {
      settings: this.#settings,
      clock: this.#context.clock,
      reports: this.#reports,
      sendBack: new SendBack(this.#context, this.#group, this.#settings.maxAttempts),
      accept: ({ topic }) => !this.#allPaused && !this.#paused.has(topic),
      onRoom: () => this.#flow.roomMade(),
    };
    return this.#settings.mode === 'concurrent'
      ? new ConcurrentConsumption(context)
      : new OrderlyConsumption(context, (processQueue) => !locks || locks.isHeld(processQueue));
  }

  #setMatcher({ topic, filter }: Subscription): void {
    this.#matchers.set(this.#context.namespace.wrap(topic), compileFilter(topic, filter));
  }

  /** Names at the broker of everything to share out. */
  #topics(): readonly string[] {
    const topics = [...this.#matchers.keys()];
    return this.#isBroadcasting || topics.length === 0 ? topics : [...topics, this.#retryTopic];
  }

  async #assertAnyExists(topics: readonly string[]): Promise<void> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    const [topic] = topics;
    if (topic === undefined) return;
    const known = await connection.request(
      { kind: 'route', topic },
      () => topics.some((each) => broker.store.queues(each) !== undefined),
      { timeoutMs: requestTimeoutMs },
    );
    if (!known) throw topicNotFound(topics.join('", "'));
  }

  async #register(): Promise<void> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    await connection.request(
      { kind: 'heartbeat', group: this.#group },
      () => broker.heartbeat(this.#group, this, !this.#isBroadcasting),
      { timeoutMs: requestTimeoutMs },
    );
  }

  async #unregister(): Promise<void> {
    const { broker, connection, requestTimeoutMs, log } = this.#context;
    try {
      await connection.request(
        { kind: 'unregister', group: this.#group },
        () => broker.group(this.#group).remove(this.clientId),
        { timeoutMs: requestTimeoutMs },
      );
    } catch (error) {
      log(
        'debug',
        `Group "${this.group}" was not told that a member left; it notices by the heartbeats.`,
        error,
      );
    }
  }

  #schedulePersist(): void {
    this.#persistTimer = this.#context.clock.setTimeout(() => {
      void this.#queues.persist().then(() => {
        if (this.#state === 'started') this.#schedulePersist();
      });
    }, this.#settings.offsetPersistIntervalMs);
  }

  #reportAssigned(topic: string): void {
    if (this.#state === 'closed') return;
    const shown = this.#context.namespace.unwrap(topic);
    const queues = this.assignment().filter((queue) => queue.startsWith(`${shown}@`));
    this.#reports.emit({ type: 'assigned', topic: shown, queues });
  }

  #assertOpen(): void {
    if (this.#state !== 'closed') return;
    throw new RocketMQError('CLOSED', `The consumer of group "${this.group}" was closed. Create a new one.`);
  }
}
