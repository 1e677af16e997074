import { allocateAveragely } from '../../allocation/averagely.js';
import { checkGroup, checkTopic } from '../../../message/message-limits.js';
import type { MessageQueue, ReceivedMessage } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { pause, type ClockTimer } from '../../clock.js';
import type { PullConsumer, PullConsumerOptions } from '../../pull-consumer.js';
import type { Subscription } from '../../subscription.js';
import type { GroupMember } from '../consumer-group.js';
import { compileFilter } from '../filter/message-matcher.js';
import type { MemoryClientContext, Membership } from '../memory-client-context.js';
import { ConsumerReports } from './consumer-reports.js';
import type { ConsumerOfClient } from './memory-push-consumer.js';
import { OffsetKeeper } from './offset-keeper.js';
import { queueKey } from './process-queue.js';
import { PulledQueues, type PulledQueue } from './pulled-queues.js';
import { QueueSharing } from './queue-sharing.js';

/** Takes messages from the in-process broker when the caller wants them. */
export class MemoryPullConsumer implements PullConsumer, GroupMember, ConsumerOfClient {
  readonly group: string;
  readonly clientId: string;
  readonly #context: MemoryClientContext;
  readonly #options: PullConsumerOptions;
  /** As the broker knows it. */
  readonly #group: string;
  readonly #queues: PulledQueues;
  readonly #offsets: OffsetKeeper;
  readonly #sharing: QueueSharing;
  readonly #membership: Membership;
  readonly #stop = new AbortController();
  readonly #removeListeners = new Set<() => void>();
  #manual = false;
  #commitTimer: ClockTimer;
  #state: 'new' | 'started' | 'closed' = 'new';

  /** @throws RocketMQError `INVALID_ARGUMENT` */
  constructor(context: MemoryClientContext, options: PullConsumerOptions, membership: Membership) {
    checkGroup(options.group);
    this.#context = context;
    this.#options = options;
    this.#membership = membership;
    this.group = options.group;
    this.clientId = context.clientId;
    this.#group = context.namespace.wrap(options.group);
    this.#queues = new PulledQueues(context, options.pollBatchSize ?? 10);
    this.#offsets = new OffsetKeeper(context, {
      group: this.#group,
      broadcasting: false,
      startFrom: options.startFrom ?? 'last',
      isRetryTopic: () => false,
    });
    this.#sharing = new QueueSharing(
      context,
      {
        group: this.#group,
        intervalMs: 20_000,
        strategy: options.allocateStrategy ?? allocateAveragely(),
        broadcasting: false,
        topics: () => (this.#manual ? [] : this.#queues.topics()),
        heartbeat: () => this.heartbeat(),
        assign: (topic, queues) => this.#assignShare(topic, queues),
        onComplete: (topic) => this.#offsets.settled(topic),
      },
      new ConsumerReports(options.group, context.log),
    );
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    this.#assertOpen();
    this.#membership.join();
    this.#state = 'started';
    await this.#register();
    this.#sharing.start();
    if (this.#options.autoCommit ?? true) this.#scheduleCommit();
  }

  async subscribe({ topic, filter }: Subscription): Promise<void> {
    this.#assertOpen();
    checkTopic(topic);
    if (this.#manual) throw this.#mixed();
    await this.queues(topic);
    this.#queues.subscribe(this.#context.namespace.wrap(topic), compileFilter(topic, filter));
    if (this.#state === 'started') await this.#sharing.round();
  }

  async unsubscribe(topic: string): Promise<void> {
    this.#assertOpen();
    const name = this.#context.namespace.wrap(topic);
    if (this.#queues.unsubscribe(name)) await this.#assignShare(name, []);
  }

  async assign(queues: readonly MessageQueue[]): Promise<void> {
    this.#assertStarted();
    if (this.#queues.topics().length > 0) throw this.#mixed();
    this.#manual = true;
    const wanted = new Map(
      queues.map((queue) => {
        const wrapped = this.#wrap(queue);
        return [queueKey(wrapped), wrapped];
      }),
    );
    for (const key of this.#queues.keys()) if (!wanted.has(key)) this.#queues.delete(key);
    for (const [key, queue] of wanted) await this.#add(key, queue);
  }

  assignment(): readonly MessageQueue[] {
    return this.#queues.all().map(({ queue }) => this.#unwrap(queue));
  }

  async poll(timeoutMs = 5_000): Promise<readonly ReceivedMessage[]> {
    this.#assertStarted();
    const { clock } = this.#context;
    const deadline = clock.monotonic() + timeoutMs;
    for (;;) {
      const arrival = this.#queues.arrival();
      try {
        const messages = await this.#takeAny();
        const left = deadline - clock.monotonic();
        if (messages.length > 0 || left <= 0) return messages;
        await pause(clock, left, AbortSignal.any([arrival.signal, this.#stop.signal]));
      } catch (error) {
        if (!this.#stop.signal.aborted) throw error;
      } finally {
        arrival.stop();
      }
      if (this.#stop.signal.aborted) return [];
    }
  }

  async seek(queue: MessageQueue, offset: number | 'begin' | 'end'): Promise<void> {
    const pulled = this.#owned(queue);
    const { broker, connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = pulled.queue;
    const [min, max] = await connection.request(
      { kind: 'query-offset', topic, queueId },
      () =>
        [broker.startOffset(topic, queueId, 'first'), broker.startOffset(topic, queueId, 'last')] as const,
      { timeoutMs: requestTimeoutMs },
    );
    const position = offset === 'begin' ? min : offset === 'end' ? max : offset;
    if (!(position >= min && position <= max)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Offset ${position} is outside of ${queueKey(queue)}, which has ${min} to ${max}. Seek to one in between, "begin" or "end".`,
      );
    }
    pulled.position = position;
    this.#queues.wake();
  }

  pause(queues: readonly MessageQueue[]): void {
    for (const queue of queues) this.#owned(queue).paused = true;
  }

  resume(queues: readonly MessageQueue[]): void {
    for (const queue of queues) this.#owned(queue).paused = false;
    this.#queues.wake();
  }

  async commit(offsets?: ReadonlyMap<MessageQueue, number>): Promise<void> {
    this.#assertStarted();
    if (offsets) {
      for (const [queue, offset] of offsets) await this.#offsets.write(this.#wrap(queue), offset);
    } else {
      for (const { queue, position } of this.#queues.all()) await this.#offsets.write(queue, position);
    }
  }

  committed(queue: MessageQueue): Promise<number | undefined> {
    return this.#offsets.read(this.#wrap(queue));
  }

  async queues(topic: string): Promise<readonly MessageQueue[]> {
    const { broker, connection, namespace, requestTimeoutMs } = this.#context;
    const name = namespace.wrap(topic);
    const queues = await connection.request(
      { kind: 'route', topic: name },
      () => broker.readableQueues(name),
      { timeoutMs: requestTimeoutMs },
    );
    return queues.map((queue) => this.#unwrap(queue));
  }

  async offsetForTimestamp(queue: MessageQueue, timestamp: Date): Promise<number> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = this.#wrap(queue);
    return connection.request(
      { kind: 'query-offset', topic, queueId },
      () => broker.startOffset(topic, queueId, timestamp),
      { timeoutMs: requestTimeoutMs },
    );
  }

  onQueuesChanged(topic: string, listener: (queues: readonly MessageQueue[]) => void): () => void {
    const { broker, namespace, log } = this.#context;
    const name = namespace.wrap(topic);
    const remove = broker.store.onRouteChange((changed) => {
      if (changed !== name) return;
      try {
        listener(
          (broker.store.queues(name) ?? []).map((_, queueId) => ({
            topic,
            brokerName: broker.name,
            queueId,
          })),
        );
      } catch (error) {
        log('error', `A listener for the queues of "${topic}" failed. Fix the listener.`, error);
      }
    });
    this.#removeListeners.add(remove);
    return () => {
      this.#removeListeners.delete(remove);
      remove();
    };
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const { broker, connection, clock, log, requestTimeoutMs } = this.#context;
    const wasStarted = this.#state === 'started';
    clock.clearTimeout(this.#commitTimer);
    try {
      if (wasStarted && (this.#options.autoCommit ?? true)) await this.commit();
      this.#end();
      if (wasStarted) {
        await connection.request(
          { kind: 'unregister', group: this.#group },
          () => broker.group(this.#group).remove(this.clientId),
          { timeoutMs: requestTimeoutMs },
        );
      }
    } catch (error) {
      log(
        'warn',
        `Group "${this.group}" left without storing its offsets; messages come again from the last ones stored.`,
        error,
      );
    }
    this.#end();
    await this.#sharing.stop();
    this.#membership.leave();
  }

  rebalanceNow(): void {
    this.#sharing.trigger();
  }

  async heartbeat(): Promise<void> {
    if (this.#state !== 'started') return;
    await this.#register().catch((error: unknown) => {
      this.#context.log('debug', `A heartbeat of group "${this.group}" was lost.`, error);
    });
  }

  die(): void {
    this.#end();
    void this.#sharing.stop();
  }

  #end(): void {
    this.#state = 'closed';
    this.#context.clock.clearTimeout(this.#commitTimer);
    this.#stop.abort();
    for (const remove of this.#removeListeners) remove();
  }

  async #register(): Promise<void> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    await connection.request(
      { kind: 'heartbeat', group: this.#group },
      () => broker.heartbeat(this.#group, this, false),
      { timeoutMs: requestTimeoutMs },
    );
  }

  #scheduleCommit(): void {
    this.#commitTimer = this.#context.clock.setTimeout(() => {
      this.commit()
        .catch((error: unknown) => {
          this.#context.log('warn', `Offsets of group "${this.group}" were not stored; tried again.`, error);
        })
        .finally(() => {
          if (this.#state === 'started') this.#scheduleCommit();
        });
    }, this.#options.autoCommitIntervalMs ?? 5_000);
  }

  async #assignShare(topic: string, queues: readonly MessageQueue[]): Promise<boolean> {
    const wanted = new Map(queues.map((queue) => [queueKey(queue), queue]));
    for (const { queue, position } of this.#queues.all()) {
      const key = queueKey(queue);
      if (queue.topic !== topic || wanted.has(key)) continue;
      this.#queues.delete(key);
      if (this.#options.autoCommit ?? true) await this.#offsets.write(queue, position);
      this.#offsets.forget(queue);
    }
    for (const [key, queue] of wanted) await this.#add(key, queue);
    return true;
  }

  async #add(key: string, queue: MessageQueue): Promise<void> {
    if (this.#queues.has(key)) return;
    const position = await this.#offsets.start(queue);
    if (!this.#queues.has(key)) this.#queues.set(key, { queue, position, paused: false });
  }

  /** Up to a batch from the first queue in turn that has something. What gets lost on its way is still there. */
  async #takeAny(): Promise<readonly ReceivedMessage[]> {
    const { connection, requestTimeoutMs } = this.#context;
    for (;;) {
      const read = await connection.request(
        { kind: 'pull', group: this.#group },
        () => this.#queues.readAny(),
        {
          timeoutMs: requestTimeoutMs,
          signal: this.#stop.signal,
        },
      );
      if (!read) return [];
      const { pulled, from, to, messages } = read;
      // Somebody sought, or polled as well, while the answer was under way.
      if (pulled.position !== from || !this.#queues.has(queueKey(pulled.queue))) continue;
      pulled.position = to;
      if (messages.length > 0) return messages;
    }
  }

  #owned(queue: MessageQueue): PulledQueue {
    this.#assertStarted();
    const pulled = this.#queues.get(queueKey(this.#wrap(queue)));
    if (pulled) return pulled;
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `Queue ${queueKey(queue)} is not assigned to this consumer. Assign it, or wait until it is shared out.`,
    );
  }

  #wrap(queue: MessageQueue): MessageQueue {
    return { ...queue, topic: this.#context.namespace.wrap(queue.topic) };
  }

  #unwrap(queue: MessageQueue): MessageQueue {
    return { ...queue, topic: this.#context.namespace.unwrap(queue.topic) };
  }

  #mixed(): RocketMQError {
    return new RocketMQError(
      'INVALID_ARGUMENT',
      `Group "${this.group}" uses subscribe and assign together. Use one of them per consumer.`,
    );
  }

  #assertStarted(): void {
    this.#assertOpen();
    if (this.#state === 'started') return;
    throw new RocketMQError(
      'CLOSED',
      `The consumer of group "${this.group}" is not started. Await start() first.`,
    );
  }

  #assertOpen(): void {
    if (this.#state !== 'closed') return;
    throw new RocketMQError('CLOSED', `The consumer of group "${this.group}" was closed. Create a new one.`);
  }
}
