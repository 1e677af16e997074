import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { Clock, ClockTimer } from '../../clock.js';
import type { ClientLog } from '../../rocketmq-client.js';
import { AUTO_CREATE_TOPIC, MASTER_ID, type TopicRouteData } from '../protocol/route-data.js';
import type { NameServerClient } from './name-server.js';
import { toSubscribeQueues, toTopicPublishInfo, type TopicPublishInfo } from './topic-publish-info.js';

export type { TopicPublishInfo } from './topic-publish-info.js';

export interface RouteTableOptions {
  readonly pollIntervalMs: number;
  readonly clock: Clock;
  readonly log: ClientLog;
}

/** A broker as routes name it. */
export interface RoutedBroker {
  readonly brokerName: string;
  /** Broker id to `host:port`; 0 is the master. */
  readonly addresses: ReadonlyMap<number, string>;
}

/** Routes nobody asked for during so many polls are forgotten, unless tracked. */
const FORGET_AFTER_POLLS = 10;
/** Routes read at the same time when all are polled. */
const POLL_CONCURRENCY = 8;
const NO_ADDRESSES: ReadonlyMap<number, string> = new Map();

interface Route {
  readonly data: TopicRouteData;
  /** To notice changes. */
  readonly fingerprint: string;
  readonly publishInfo: TopicPublishInfo;
  readonly subscribeQueues: readonly MessageQueue[];
  lastUsedPoll: number;
}

/**
 * The routes of the topics in use, read again at an interval. A route is kept when the name servers are away or
 * have forgotten the topic: brokers go on without them. (Java: `MQClientInstance.topicRouteTable`,
 * `brokerAddrTable`.)
 */
export class RouteTable {
  readonly #nameServer: NameServerClient;
  readonly #options: RouteTableOptions;
  readonly #routes = new Map<string, Route>();
  readonly #tracked = new Map<string, number>();
  readonly #reading = new Map<string, Promise<boolean>>();
  readonly #listeners = new Set<(topic: string) => void>();
  #brokers: ReadonlyMap<string, RoutedBroker> = new Map();
  #polls = 0;
  #timer: ClockTimer;
  #closed = false;

  constructor(nameServer: NameServerClient, options: RouteTableOptions) {
    this.#nameServer = nameServer;
    this.#options = options;
    this.#schedule();
  }

  /**
   * Writable queues of brokers that have a master. With `autoCreate`, a topic that does not exist gets the queues
   * it will have once the broker creates it.
   *
   * @throws BrokerError `TOPIC_NOT_FOUND`
   * @throws RocketMQError `NO_WRITABLE_QUEUE`, or as {@link NameServerClient.topicRoute}
   */
  async publishQueues(topic: string, { autoCreate }: { autoCreate: boolean }): Promise<TopicPublishInfo> {
    const present = this.cachedPublishInfo(topic);
    if (present !== undefined && (autoCreate || !present.autoCreated)) return present;
    try {
      await this.refresh(topic);
    } catch (error) {
      if (!autoCreate || !isTopicNotFound(error)) throw error;
      await this.#borrow(topic);
    }
    const info = this.#use(topic)?.publishInfo;
    if (info === undefined || info.queues.length === 0 || (info.autoCreated && !autoCreate)) {
      throw new RocketMQError(
        'NO_WRITABLE_QUEUE',
        `Topic "${topic}" has no queue that takes messages now. Check its permission and that its brokers have a master.`,
        { retryable: true },
      );
    }
    return info;
  }

  /** What {@link publishQueues} would give from memory, without a promise; undefined when it must be asked. */
  cachedPublishInfo(topic: string): TopicPublishInfo | undefined {
    const info = this.#use(topic)?.publishInfo;
    return info !== undefined && info.queues.length > 0 ? info : undefined;
  }

  /**
   * Readable queues, sorted.
   *
   * @throws BrokerError `TOPIC_NOT_FOUND`
   * @throws RocketMQError as {@link NameServerClient.topicRoute}
   */
  async subscribeQueues(topic: string): Promise<readonly MessageQueue[]> {
    const present = this.#use(topic);
    if (present !== undefined && !present.publishInfo.autoCreated) return present.subscribeQueues;
    await this.refresh(topic);
    return this.#use(topic)?.subscribeQueues ?? [];
  }

  masterAddress(brokerName: string): string | undefined {
    return this.address(brokerName, MASTER_ID);
  }

  address(brokerName: string, brokerId: number): string | undefined {
    return this.addresses(brokerName).get(brokerId);
  }

  /** Broker id to address, the master first. */
  addresses(brokerName: string): ReadonlyMap<number, string> {
    return this.#brokers.get(brokerName)?.addresses ?? NO_ADDRESSES;
  }

  /** The brokers of every topic in use. */
  allBrokers(): readonly RoutedBroker[] {
    return [...this.#brokers.values()];
  }

  /**
   * Reads the route now; calls at the same time share one request.
   *
   * @returns whether it changed
   * @throws BrokerError `TOPIC_NOT_FOUND`; a route known before is kept
   * @throws RocketMQError as {@link NameServerClient.topicRoute}
   */
  refresh(topic: string): Promise<boolean> {
    return this.#shared(topic, async () => this.#put(topic, await this.#nameServer.topicRoute(topic), false));
  }

  /** Keeps the topic polled until {@link untrack} was called as often. */
  track(topic: string): void {
    this.#tracked.set(topic, (this.#tracked.get(topic) ?? 0) + 1);
  }

  untrack(topic: string): void {
    const count = (this.#tracked.get(topic) ?? 0) - 1;
    if (count > 0) this.#tracked.set(topic, count);
    else this.#tracked.delete(topic);
  }

  /** Called with the topic whose route appeared or changed. @returns a function that removes the listener */
  onChange(listener: (topic: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#options.clock.clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  #use(topic: string): Route | undefined {
    const route = this.#routes.get(topic);
    if (route !== undefined) route.lastUsedPoll = this.#polls;
    return route;
  }

  /** One reading per key at a time, shared by all who ask meanwhile. */
  #shared(key: string, read: () => Promise<boolean>): Promise<boolean> {
    let reading = this.#reading.get(key);
    if (reading === undefined) {
      reading = read().finally(() => this.#reading.delete(key));
      this.#reading.set(key, reading);
    }
    return reading;
  }

  /** Takes the queues of {@link AUTO_CREATE_TOPIC} for a topic that has none. */
  #borrow(topic: string): Promise<boolean> {
    // No topic has a space in its name.
    return this.#shared(`${topic} ${AUTO_CREATE_TOPIC}`, async () => {
      const data = await this.#nameServer.topicRoute(AUTO_CREATE_TOPIC);
      const created = this.#routes.get(topic)?.publishInfo.autoCreated === false;
      return created ? false : this.#put(topic, data, true);
    });
  }

  #put(topic: string, data: TopicRouteData, autoCreate: boolean): boolean {
    if (this.#closed) return false;
    const fingerprint = fingerprintOf(data, autoCreate);
    const before = this.#routes.get(topic);
    // Last in the map is what was heard last; of two routes that disagree about a broker, it wins.
    this.#routes.delete(topic);
    if (before?.fingerprint === fingerprint) {
      this.#routes.set(topic, before);
      return false;
    }
    this.#routes.set(topic, {
      data,
      fingerprint,
      publishInfo: toTopicPublishInfo(topic, data, autoCreate),
      subscribeQueues: toSubscribeQueues(topic, data),
      lastUsedPoll: this.#polls,
    });
    this.#collectBrokers();
    this.#notify(topic);
    return true;
  }

  #collectBrokers(): void {
    const brokers = new Map<string, RoutedBroker>();
    for (const { data } of this.#routes.values()) {
      for (const { brokerName, brokerAddrs } of data.brokerDatas) {
        brokers.set(brokerName, { brokerName, addresses: brokerAddrs });
      }
    }
    this.#brokers = brokers;
  }

  #notify(topic: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(topic);
      } catch (error) {
        this.#options.log('error', `A listener to the route of topic "${topic}" failed.`, error);
      }
    }
  }

  #schedule(): void {
    const { clock, pollIntervalMs } = this.#options;
    this.#timer = clock.setTimeout(() => void this.#poll(), pollIntervalMs);
  }

  async #poll(): Promise<void> {
    this.#polls++;
    this.#forgetUnused();
    const topics = [...new Set([...this.#routes.keys(), ...this.#tracked.keys()])];
    const worker = async (): Promise<void> => {
      for (let topic = topics.pop(); topic !== undefined && !this.#closed; topic = topics.pop()) {
        await this.#refreshQuietly(topic);
      }
    };
    await Promise.all(Array.from({ length: POLL_CONCURRENCY }, worker));
    if (!this.#closed) this.#schedule();
  }

  async #refreshQuietly(topic: string): Promise<void> {
    try {
      await this.refresh(topic);
    } catch (error) {
      if (this.#closed) return;
      // A topic that is about to be created has no route yet: nothing to report.
      const level = isTopicNotFound(error) ? 'debug' : 'warn';
      this.#options.log(
        level,
        `The route of topic "${topic}" could not be read again; the known one stays.`,
        error,
      );
    }
  }

  #forgetUnused(): void {
    let forgotten = false;
    for (const [topic, { lastUsedPoll }] of this.#routes) {
      if (this.#tracked.has(topic) || this.#polls - lastUsedPoll <= FORGET_AFTER_POLLS) continue;
      this.#routes.delete(topic);
      forgotten = true;
    }
    if (forgotten) this.#collectBrokers();
  }
}

function isTopicNotFound(error: unknown): boolean {
  return error instanceof RocketMQError && error.code === 'TOPIC_NOT_FOUND';
}

function fingerprintOf(
  { orderTopicConf, queueDatas, brokerDatas }: TopicRouteData,
  autoCreated: boolean,
): string {
  const brokers = brokerDatas.map(({ brokerName, cluster, brokerAddrs }) => [
    brokerName,
    cluster,
    [...brokerAddrs],
  ]);
  return JSON.stringify([autoCreated, orderTopicConf, queueDatas, brokers]);
}
