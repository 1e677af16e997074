import type { Clock } from '../client/clock.js';
import type { CachedMessages, PushConsumer, PushConsumerOptions } from '../client/push-consumer.js';
import type { RocketMQClient } from '../client/rocketmq-client.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { ConsumerPlan } from './consumer-plan.js';
import type { HandlerWatch } from './handler-watch.js';

/** What a listener does: `paused` keeps its queues and takes no messages, `failed` could not start. */
export type ListenerState = 'stopped' | 'starting' | 'running' | 'paused' | 'stopping' | 'failed';

const NOTHING: CachedMessages = { messages: 0, bytes: 0 };

/** What a container needs beside its plan. */
export interface ContainerServices {
  readonly client: RocketMQClient;
  readonly clock: Clock;
  readonly events: RocketMQEvents;
  readonly handler: PushConsumerOptions['handler'];
  readonly watch: HandlerWatch;
  readonly onConsumerError: (error: Error, context: string) => void;
}

/** The life of one push consumer: starts it, pauses it, drains it, and may start it anew. */
export class ListenerContainer {
  private consumer: PushConsumer | undefined;
  private current: ListenerState = 'stopped';
  private retired = false;
  private readonly pausedTopics = new Set<string>();
  /** Starting and stopping happen one after the other. */
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    readonly plan: ConsumerPlan,
    private readonly services: ContainerServices,
  ) {}

  get state(): ListenerState {
    return this.current;
  }

  /** Handler calls under way. */
  get inFlight(): number {
    return this.services.watch.size;
  }

  /** Messages in memory that are not acknowledged. */
  cached(): CachedMessages {
    return this.consumer?.cached() ?? NOTHING;
  }

  /** Queues owned now, as `topic@broker:queueId`. */
  assignment(): readonly string[] {
    return this.consumer?.assignment() ?? [];
  }

  stateOf(topic: string): ListenerState {
    return this.current === 'running' && this.pausedTopics.has(topic) ? 'paused' : this.current;
  }

  /**
   * @throws RocketMQError what the engine said; the state is then `failed` and a later start may succeed. `CLOSED` once
   * it is retired
   */
  start(): Promise<void> {
    return this.inTurn(async () => {
      if (this.current === 'running') return;
      if (this.retired) throw this.tooLate();
      this.enter('starting');
      const consumer = this.services.client.createPushConsumer({
        ...this.plan.consumer,
        handler: this.services.handler,
      });
      consumer.onEvent((event) => {
        if (event.type === 'error') this.services.onConsumerError(event.error, event.context);
      });
      try {
        await consumer.start();
      } catch (error) {
        await consumer.close(0).catch(() => undefined);
        this.enter('failed', error as Error);
        throw error;
      }
      this.consumer = consumer;
      for (const topic of this.pausedTopics) consumer.pause(topic);
      this.enter('running');
    });
  }

  /** From now on nothing starts: whoever would stop it has been here. Before the last `stop`. */
  retire(): void {
    this.retired = true;
  }

  /** What must be there before it can start is not; a later start may succeed. */
  fail(error: Error): void {
    if (this.current === 'stopped' && !this.retired) this.enter('failed', error);
  }

  /** Stops intake, waits for handlers, leaves the group. Idempotent. Resolves with the number given up. */
  stop(drainTimeoutMs: number): Promise<number> {
    return this.inTurn(async () => {
      const { consumer } = this;
      if (consumer === undefined) {
        this.current = 'stopped';
        return 0;
      }
      this.enter('stopping');
      const { clock, watch } = this.services;
      const deadline = clock.monotonic() + drainTimeoutMs;
      try {
        const { abandoned } = await consumer.close(drainTimeoutMs);
        // The consumer has let go of handlers whose queue went to another member meanwhile; they still run.
        await watch.idle(deadline);
        return Math.max(abandoned, watch.size);
      } finally {
        this.consumer = undefined;
        watch.close();
        this.enter('stopped');
      }
    });
  }

  pause(topic: string): void {
    if (this.pausedTopics.has(topic)) return;
    this.pausedTopics.add(topic);
    this.consumer?.pause(topic);
    this.announce(topic, this.stateOf(topic));
  }

  resume(topic: string): void {
    if (!this.pausedTopics.delete(topic)) return;
    this.consumer?.resume(topic);
    this.announce(topic, this.stateOf(topic));
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.queue.then(work, work);
    this.queue = next.catch(() => undefined);
    return next;
  }

  private tooLate(): RocketMQError {
    return new RocketMQError(
      'CLOSED',
      `Group "${this.plan.group}" does not start: the application is stopping. Start listeners while it runs, or leave them to the next process.`,
    );
  }

  private enter(state: ListenerState, error?: Error): void {
    this.current = state;
    for (const topic of this.plan.routes.keys()) this.announce(topic, this.stateOf(topic), error);
  }

  private announce(topic: string, state: ListenerState, error?: Error): void {
    const { connection, group, definitions } = this.plan;
    for (const { id, options } of definitions) {
      if (options.topic !== topic) continue;
      this.services.events.emit('listener.state', {
        connection,
        group,
        topic,
        listener: id,
        state,
        ...(error === undefined ? {} : { error }),
      });
    }
  }
}
