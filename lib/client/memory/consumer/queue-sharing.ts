import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { AllocateStrategy } from '../../allocate-strategy.js';
import { pause } from '../../clock.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { MemoryClientContext } from '../memory-client-context.js';

/** While not every queue could be taken over. Source: RebalanceService.minInterval. */
const UNBALANCED_INTERVAL_MS = 1_000;

export interface QueueSharingOptions {
  /** As the broker knows it. */
  readonly group: string;
  readonly intervalMs: number;
  readonly strategy: AllocateStrategy;
  /** Every member gets every queue. */
  readonly broadcasting: boolean;
  /** Names at the broker of what is subscribed now. */
  readonly topics: () => readonly string[];
  /** Makes this member known (again). */
  readonly heartbeat: () => Promise<void>;
  /** Makes these the queues this member has of the topic. Resolves with whether it has them all. */
  readonly assign: (topic: string, queues: readonly MessageQueue[]) => Promise<boolean>;
  /** This member has its whole share of the topic, or there is no such topic yet. */
  readonly onComplete: (topic: string) => void;
}

/**
 * Shares out the queues of each topic among the members of a group: every member computes the same shares from the
 * same lists. At an interval, and when members or queues change.
 */
export class QueueSharing {
  readonly #context: MemoryClientContext;
  readonly #options: QueueSharingOptions;
  readonly #reports: ConsumerReports;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  #waiters: (() => void)[] = [];
  #resolveBalanced!: () => void;
  #rejectBalanced!: (error: Error) => void;
  /** Resolves after the first round in which this member got its share of every topic. */
  readonly balanced: Promise<void>;
  #removeListener: () => void = () => undefined;

  constructor(context: MemoryClientContext, options: QueueSharingOptions, reports: ConsumerReports) {
    this.#context = context;
    this.#options = options;
    this.#reports = reports;
    this.balanced = new Promise((resolve, reject) => {
      this.#resolveBalanced = resolve;
      this.#rejectBalanced = reject;
    });
    // Whoever waits hears of it; nobody has to.
    this.balanced.catch(() => undefined);
  }

  start(): void {
    this.#removeListener = this.#context.broker.store.onRouteChange((topic) => {
      if (this.#options.topics().includes(topic)) this.trigger();
    });
    this.#running = this.#loop();
  }

  /** Begins a round soon. */
  trigger(): void {
    // A reason of its own: without one a DOMException with a stack is made each time.
    this.#wake.abort('wake');
  }

  /** Resolves when a round that begins from now on is over. */
  round(): Promise<void> {
    if (this.#stop.signal.aborted || this.#running === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.trigger();
    });
  }

  async stop(): Promise<void> {
    this.#removeListener();
    this.#stop.abort('stop');
    this.trigger();
    this.#rejectBalanced(
      new RocketMQError(
        'CLOSED',
        `The consumer of group "${this.#options.group}" was closed. Create a new one.`,
      ),
    );
    await this.#running;
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const waiters = this.#waiters.splice(0);
      const balanced = await this.#round();
      if (balanced) this.#resolveBalanced();
      for (const resolve of waiters) resolve();
      const interval = balanced ? this.#options.intervalMs : UNBALANCED_INTERVAL_MS;
      if (!this.#stop.signal.aborted) await pause(this.#context.clock, interval, this.#wake.signal);
    }
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  async #round(): Promise<boolean> {
    let balanced = true;
    for (const topic of this.#options.topics()) {
      if (!(await this.#rebalanceTopic(topic))) balanced = false;
    }
    return balanced;
  }

  /** Never rejects. */
  async #rebalanceTopic(topic: string): Promise<boolean> {
    const context = `sharing out the queues of ${topic}`;
    try {
      const share = await this.#share(topic);
      if (share === undefined || this.#stop.signal.aborted) return false;
      this.#reports.working(context);
      const complete = await this.#options.assign(topic, share);
      if (complete) this.#options.onComplete(topic);
      return complete;
    } catch (error) {
      if (error instanceof RocketMQError && error.code === 'TOPIC_NOT_FOUND') this.#options.onComplete(topic);
      if (!this.#stop.signal.aborted) this.#reports.failing(context, error);
      return false;
    }
  }

  /** Undefined when it cannot be told now: everything stays as it is. */
  async #share(topic: string): Promise<readonly MessageQueue[] | undefined> {
    const { broker, clientId, connection, requestTimeoutMs } = this.#context;
    const { group, strategy, broadcasting, heartbeat } = this.#options;
    const limits = { timeoutMs: requestTimeoutMs, signal: this.#stop.signal };
    const queues = await connection.request(
      { kind: 'route', topic },
      () => broker.readableQueues(topic),
      limits,
    );
    if (broadcasting) return queues;
    const members = await connection.request(
      { kind: 'members', group },
      () => broker.group(group).memberIds(),
      limits,
    );
    if (members.includes(clientId)) return strategy.allocate(group, clientId, queues, members);
    await heartbeat();
    return undefined;
  }
}
