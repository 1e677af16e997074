import { RocketMQError } from '../../message/rocketmq-error.js';
import { BrokerError } from '../broker-error.js';
import { pause, type Clock } from '../clock.js';
import type { ConsumerBroker, PullResult, UnreadableMessage } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { FlowControl } from './flow-control.js';
import type { ProcessQueue } from './process-queue.js';
import type { SubscriptionTable } from './subscription-table.js';
import type { TopicSubscription } from './topic-subscription.js';

/** Source: DefaultMQPushConsumerImpl.PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL. */
const FLOW_CONTROL_DELAY_MS = 20;
/** A broker that has nothing, does not hold the pull and says so at once must not be asked in a tight loop. */
const TOO_SOON_MS = 20;
/** The broker needs a heartbeat with the subscription, or is not there: soon again. */
const RETRY_DELAY_MS = 1_000;
/** Source: DefaultMQPushConsumerImpl.pullTimeDelayMillsWhenException. */
const EXCEPTION_DELAY_MS = 3_000;

/** Reason of aborts nobody hears of; without one a DOMException with a stack is made each time. */
const OVER = 'over';

export interface PullOptions {
  readonly batchSize: number;
  readonly longPollingMs: number;
  /** Send the subscription with every pull instead of relying on the one in the heartbeat. */
  readonly postSubscription: boolean;
  /** Offsets are the broker's: what was finished is committed with the next pull. */
  readonly commitWithPull: boolean;
  /** Messages came in. */
  readonly onMessages: (processQueue: ProcessQueue) => void;
  /** The queue has to begin anew at another offset. */
  readonly onReset: (processQueue: ProcessQueue, offset: number) => void;
  /**
   * A message cannot be read. Resolves when it may be stepped over; rejects when it was not possible to put it
   * aside, which is tried again.
   */
  readonly onUnreadable: (processQueue: ProcessQueue, message: UnreadableMessage) => Promise<void>;
}

/** Stands for the pull under way, so that it can be cut short. */
interface PullTask {
  stopped: boolean;
  current: AbortController;
  /** What the last pull with an offset to commit has committed. */
  committed: number;
}

/**
 * Keeps one pull open per queue, one after the other, and puts what comes into the process queue.
 * (Java: `PullMessageService`, `DefaultMQPushConsumerImpl.pullMessage`.)
 */
export class PullMessageService {
  readonly #clock: Clock;
  readonly #broker: ConsumerBroker;
  readonly #subscriptions: SubscriptionTable;
  readonly #flow: FlowControl;
  readonly #reports: ConsumerReports;
  readonly #options: PullOptions;
  readonly #tasks = new Map<ProcessQueue, PullTask>();

  constructor(
    clock: Clock,
    broker: ConsumerBroker,
    subscriptions: SubscriptionTable,
    flow: FlowControl,
    reports: ConsumerReports,
    options: PullOptions,
  ) {
    this.#clock = clock;
    this.#broker = broker;
    this.#subscriptions = subscriptions;
    this.#flow = flow;
    this.#reports = reports;
    this.#options = options;
  }

  start(processQueue: ProcessQueue): void {
    const task: PullTask = { stopped: false, current: new AbortController(), committed: 0 };
    this.#tasks.set(processQueue, task);
    void this.#run(processQueue, task);
  }

  stop(processQueue: ProcessQueue): void {
    const task = this.#tasks.get(processQueue);
    if (!task) return;
    this.#tasks.delete(processQueue);
    task.stopped = true;
    task.current.abort(OVER);
    this.#flow.release(processQueue);
    this.#broker.forget(processQueue.queue);
  }

  stopAll(): void {
    for (const processQueue of this.#tasks.keys()) this.stop(processQueue);
  }

  /** Queues that were paused may be pulled again. */
  resume(): void {
    this.#flow.roomMade();
  }

  /** Pulls the topic again at once: its subscription changed. */
  interrupt(topic: string): void {
    for (const [processQueue, task] of this.#tasks) {
      if (processQueue.queue.topic === topic) task.current.abort(OVER);
    }
  }

  /** Never rejects. */
  async #run(processQueue: ProcessQueue, task: PullTask): Promise<void> {
    const context = `pulling ${processQueue.key}`;
    while (!task.stopped) {
      task.current = new AbortController();
      const { signal } = task.current;
      try {
        const room = this.#flow.room(processQueue);
        if (room) await room;
        if (task.stopped) return;
        const subscription = this.#subscriptions.get(processQueue.queue.topic);
        if (!subscription) return;
        const offset = processQueue.nextOffset;
        const commit = this.#commitWith(processQueue, task);
        const begin = this.#clock.monotonic();
        const result = await this.#pull(processQueue, subscription, offset, commit, signal);
        if (task.stopped) return;
        task.committed = commit ?? task.committed;
        processQueue.lastPullTimestamp = this.#clock.now();
        await this.#receive(processQueue, offset, result);
        this.#reports.working(context);
        const fruitless = result.status !== 'found' && processQueue.nextOffset === offset;
        const held = commit === undefined;
        if (fruitless && held && this.#clock.monotonic() - begin < TOO_SOON_MS) {
          await pause(this.#clock, TOO_SOON_MS, signal);
        }
      } catch (error) {
        // Stopped, or interrupted to use a new subscription.
        if (signal.aborted) continue;
        this.#reports.failing(context, error);
        await pause(this.#clock, await this.#delayAfter(error), signal);
      }
    }
  }

  /**
   * Only with nothing in hand, and the broker is not to hold such a pull: whatever is done later came with an answer that
   * was given after the offset was stored. Otherwise the broker might store it after a higher one and set the group back,
   * for example when this member has just closed. Source: PullMessageProcessor of 4.9 stores the offset of a pull after
   * it has put it aside.
   */
  #commitWith(processQueue: ProcessQueue, task: PullTask): number | undefined {
    if (!this.#options.commitWithPull || processQueue.count > 0) return undefined;
    const offset = processQueue.committableOffset;
    return offset > task.committed ? offset : undefined;
  }

  #pull(
    processQueue: ProcessQueue,
    subscription: TopicSubscription,
    offset: number,
    commitOffset: number | undefined,
    signal: AbortSignal,
  ): Promise<PullResult> {
    return this.#broker.pull({
      queue: processQueue.queue,
      subscription,
      offset,
      maxMessages: this.#options.batchSize,
      suspendMs: commitOffset === undefined ? this.#options.longPollingMs : 0,
      commitOffset,
      postSubscription: this.#options.postSubscription,
      signal,
    });
  }

  async #receive(processQueue: ProcessQueue, offset: number, result: PullResult): Promise<void> {
    if (result.status === 'found') {
      await this.#take(processQueue, result);
    } else if (result.status === 'nothing') {
      processQueue.skipTo(result.nextOffset);
    } else if (offset < result.minOffset && result.nextOffset > offset) {
      // The broker deleted old messages; those that are here already can still be handled.
      this.#reports.error(
        `pulling ${processQueue.key}`,
        new RocketMQError(
          'BROKER_REJECTED',
          `Offset ${offset} is gone, the broker deleted everything below ${result.minOffset}; consuming goes on at ${result.nextOffset}. Keep messages longer (fileReservedTime) or consume faster.`,
        ),
      );
      processQueue.skipTo(result.nextOffset);
    } else {
      this.#reports.info(
        `${processQueue.key} continues at offset ${result.nextOffset} instead of ${offset}.`,
      );
      this.#options.onReset(processQueue, result.nextOffset);
    }
  }

  async #take(
    processQueue: ProcessQueue,
    { messages, unreadable, nextOffset }: Extract<PullResult, { status: 'found' }>,
  ): Promise<void> {
    for (const message of unreadable) {
      await this.#options.onUnreadable(processQueue, message);
      if (processQueue.dropped) return;
    }
    if (processQueue.put(messages, nextOffset).length > 0) this.#options.onMessages(processQueue);
  }

  async #delayAfter(error: unknown): Promise<number> {
    if (error instanceof RocketMQError && error.code === 'BROKER_BUSY') return FLOW_CONTROL_DELAY_MS;
    if (this.#broker.needsHeartbeat(error)) {
      await this.#broker.heartbeat();
      return RETRY_DELAY_MS;
    }
    if (error instanceof BrokerError) return EXCEPTION_DELAY_MS;
    return error instanceof RocketMQError && error.retryable ? RETRY_DELAY_MS : EXCEPTION_DELAY_MS;
  }
}
