import type { MessageQueue } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { AllocateStrategy } from '../allocate-strategy.js';
import { pause } from '../clock.js';
import type { ConsumerBroker, ConsumerEngine } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import { isRetryTopic } from '../group-topics.js';

/** Between two rounds, however often brokers call for one. */
const MIN_INTERVAL_MS = 100;
/** While not every queue could be taken over, rounds follow after 100 ms, 200 ms, … up to this. Source: RebalanceService.minInterval. */
const UNBALANCED_INTERVAL_MS = 1_000;

export interface RebalanceOptions {
  /** As the broker knows it. */
  readonly group: string;
  readonly intervalMs: number;
  readonly strategy: AllocateStrategy;
  /** Every member gets every queue. */
  readonly broadcasting: boolean;
  /** Names at the broker of what is subscribed now. */
  readonly topics: () => readonly string[];
  /**
   * Makes these the queues this member has of the topic. Resolves with whether it has them all.
   * Never rejects.
   */
  readonly assign: (topic: string, queues: readonly MessageQueue[]) => Promise<boolean>;
  /** This member has its whole share of the topic, or there is no such topic yet. */
  readonly onComplete: (topic: string) => void;
}

/**
 * Shares out the queues of each topic among the members of the group: every member computes the same shares from
 * the same lists. Again at an interval, when a broker says that members came or went, and when a route changed.
 * (Java: `RebalanceService`, `RebalanceImpl`.)
 */
export class Rebalance {
  readonly #engine: Pick<ConsumerEngine, 'clientId' | 'clock'>;
  readonly #broker: Pick<ConsumerBroker, 'routes' | 'members' | 'heartbeat'>;
  readonly #options: RebalanceOptions;
  readonly #reports: ConsumerReports;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  #waiters: (() => void)[] = [];
  #settleBalanced: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #removeListener: (() => void) | undefined;
  /** Resolves after the first round in which this member got its share of every topic. */
  readonly balanced: Promise<void>;

  constructor(
    engine: Pick<ConsumerEngine, 'clientId' | 'clock'>,
    broker: Pick<ConsumerBroker, 'routes' | 'members' | 'heartbeat'>,
    options: RebalanceOptions,
    reports: ConsumerReports,
  ) {
    this.#engine = engine;
    this.#broker = broker;
    this.#options = options;
    this.#reports = reports;
    this.balanced = new Promise((resolve, reject) => (this.#settleBalanced = { resolve, reject }));
    // Not everybody waits for it.
    this.balanced.catch(() => undefined);
  }

  start(): void {
    this.#removeListener = this.#broker.routes.onChange((topic) => {
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

  /** Resolves when no round runs any more. */
  async stop(): Promise<void> {
    this.#removeListener?.();
    this.#stop.abort('stop');
    this.trigger();
    this.#settleBalanced?.reject(
      new RocketMQError(
        'CLOSED',
        `The consumer of group "${this.#options.group}" was closed. Create a new one.`,
      ),
    );
    await this.#running;
  }

  async #loop(): Promise<void> {
    const { clock } = this.#engine;
    let unbalancedMs = MIN_INTERVAL_MS;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const waiters = this.#waiters.splice(0);
      const balanced = await this.#round();
      for (const resolve of waiters) resolve();
      await pause(clock, MIN_INTERVAL_MS, this.#stop.signal);
      unbalancedMs = balanced ? MIN_INTERVAL_MS : Math.min(unbalancedMs * 2, UNBALANCED_INTERVAL_MS);
      const interval = balanced ? this.#options.intervalMs : unbalancedMs;
      await pause(clock, Math.max(interval - MIN_INTERVAL_MS, 0), this.#wake.signal);
    }
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  async #round(): Promise<boolean> {
    const topics = this.#options.topics();
    const complete = await Promise.all(topics.map((topic) => this.#rebalanceTopic(topic)));
    // The broker makes the retry topic a moment after it has heard of the group; until then there is nothing in it.
    if (topics.every((topic, index) => complete[index] || isRetryTopic(topic)))
      this.#settleBalanced?.resolve();
    return complete.every(Boolean);
  }

  /** Never rejects. */
  async #rebalanceTopic(topic: string): Promise<boolean> {
    const context = `sharing out the queues of ${topic}`;
    try {
      const share = await this.#share(topic);
      if (share === undefined || this.#stop.signal.aborted) return false;
      const complete = await this.#options.assign(topic, share);
      if (complete) this.#options.onComplete(topic);
      this.#reports.working(context);
      return complete;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      const missing = error instanceof RocketMQError && error.code === 'TOPIC_NOT_FOUND';
      if (missing) this.#options.onComplete(topic);
      if (missing && isRetryTopic(topic)) {
        this.#reports.debug('The retry topic does not exist yet.');
      } else {
        this.#reports.failing(context, error);
      }
      return false;
    }
  }

  /** Undefined when it cannot be told now: everything stays as it is. */
  async #share(topic: string): Promise<readonly MessageQueue[] | undefined> {
    const queues = [...(await this.#broker.routes.subscribeQueues(topic))].sort(compareQueues);
    if (queues.length === 0 || this.#stop.signal.aborted) return undefined;
    if (this.#options.broadcasting) return queues;
    const { group, strategy } = this.#options;
    const { clientId } = this.#engine;
    // A broker lists connections: a client that has just connected anew stands there twice until the broker notices
    // that the old connection is dead, and would leave half of its queues to nobody.
    const members = [...new Set(await this.#broker.members(topic))].sort();
    if (this.#stop.signal.aborted) return undefined;
    if (!members.includes(clientId)) {
      // A broker that has just started knows nobody until the next heartbeats.
      await this.#broker.heartbeat();
      if (members.length === 0) return undefined;
      await this.#options.assign(topic, []);
      return undefined;
    }
    return strategy.allocate(group, clientId, queues, members);
  }
}

/** (Java: `MessageQueue.compareTo`.) */
function compareQueues(a: MessageQueue, b: MessageQueue): number {
  if (a.brokerName !== b.brokerName) return a.brokerName < b.brokerName ? -1 : 1;
  return a.queueId - b.queueId;
}
