import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Clock } from '../clock.js';
import type { ClientLog, ConnectionState } from '../rocketmq-client.js';
import { BrokerHeartbeats } from './broker-heartbeats.js';
import { ConnectionTracker } from './connection-tracker.js';
import type { ConsumerMember } from './consumer-member.js';
import { answerBrokerRequests } from './inbound-requests.js';
import { Namespace } from '../namespace.js';
import { RemotingChannels } from './network/remoting-channels.js';
import type { ProducerMember } from './producer-member.js';
import type { HeartbeatData } from './protocol/heartbeat-data.js';
import { RequestCode } from './protocol/request-code.js';
import { ResponseCode } from './protocol/response-code.js';
import { responseError } from './protocol/response-error.js';
import { UniqueKeyGenerator } from './protocol/unique-key.js';
import { NameServerClient } from './route/name-server.js';
import { RouteTable } from './route/route-table.js';

/** How long leaving a group may take; the brokers notice by themselves when the connection closes. */
const UNREGISTER_TIMEOUT_MS = 1_000;

export interface ClientInstanceOptions {
  readonly nameServers: readonly string[];
  readonly clientId: string;
  readonly namespace: string | undefined;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly routePollIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  readonly clock: Clock;
  readonly log: ClientLog;
}

/**
 * What producers, consumers and admin of one client share: connections, routes, the heartbeat, and the brokers'
 * requests. Topics and groups here are named as the broker knows them, namespace included. (Java: `MQClientInstance`.)
 */
export class ClientInstance {
  readonly clientId: string;
  readonly namespace: Namespace;
  readonly channels: RemotingChannels;
  readonly nameServer: NameServerClient;
  readonly routes: RouteTable;
  readonly uniqueKeys: UniqueKeyGenerator;
  readonly clock: Clock;
  readonly log: ClientLog;
  readonly requestTimeoutMs: number;
  readonly #producers = new Map<string, ProducerMember>();
  readonly #consumers = new Map<string, ConsumerMember>();
  readonly #heartbeats: BrokerHeartbeats;
  readonly #tracker: ConnectionTracker;
  #started = false;
  #closed = false;
  #beatScheduled = false;

  constructor(options: ClientInstanceOptions) {
    const { clock, log, requestTimeoutMs } = options;
    this.clientId = options.clientId;
    this.namespace = new Namespace(options.namespace);
    this.clock = clock;
    this.log = log;
    this.requestTimeoutMs = requestTimeoutMs;
    this.uniqueKeys = new UniqueKeyGenerator(clock);
    this.channels = new RemotingChannels({ connectTimeoutMs: options.connectTimeoutMs, clock, log });
    this.nameServer = new NameServerClient(this.channels, [...options.nameServers], {
      requestTimeoutMs,
      clock,
      log,
    });
    this.routes = new RouteTable(this.nameServer, {
      pollIntervalMs: options.routePollIntervalMs,
      clock,
      log,
    });
    this.#heartbeats = new BrokerHeartbeats(this.channels, this.nameServer, this.routes, {
      intervalMs: options.heartbeatIntervalMs,
      requestTimeoutMs,
      clock,
      log,
      data: () => this.#heartbeatData(),
      everywhere: () =>
        [...this.#producers.values()].some(({ transactional, requesting }) => transactional || requesting),
      onReachability: () => {
        if (!this.#closed) this.#tracker.update();
      },
      onIdle: () => void this.#pingNameServer().catch(() => undefined),
    });
    this.#tracker = new ConnectionTracker(() => this.#heartbeats.reachability, log);
    answerBrokerRequests(this.channels, {
      producers: this.#producers,
      consumers: this.#consumers,
      brokerNameOf: (address) => this.brokerNameOf(address),
      log,
    });
  }

  get state(): ConnectionState {
    return this.#tracker.state;
  }

  onStateChange(listener: (state: ConnectionState) => void): void {
    this.#tracker.onChange(listener);
  }

  /**
   * Asks a name server; from then on heartbeats go out. May be called again after a failure.
   * @throws RocketMQError `CONNECTION_FAILED` or `TIMEOUT` when no name server answers
   */
  async start(): Promise<void> {
    this.#assertOpen();
    if (!this.#started) {
      this.#started = true;
      this.#heartbeats.start();
    }
    await this.#pingNameServer();
  }

  /** Asks the name server and every broker in use now. */
  async checkConnection(): Promise<ConnectionState> {
    if (this.#closed) return 'closed';
    await Promise.all([this.#pingNameServer().catch(() => undefined), this.#heartbeats.beat()]);
    return this.#tracker.state;
  }

  /**
   * @throws RocketMQError `INVALID_CONFIGURATION` when the client has a producer of the group already
   */
  registerProducer(group: string, member: ProducerMember): void {
    this.#register(this.#producers, group, member, 'producer');
  }

  async unregisterProducer(group: string): Promise<void> {
    if (!this.#producers.delete(group)) return;
    await this.#unregister({ producerGroup: group });
  }

  /**
   * @throws RocketMQError `INVALID_CONFIGURATION` when the client has a consumer of the group already
   */
  registerConsumer(group: string, member: ConsumerMember): void {
    this.#register(this.#consumers, group, member, 'consumer');
  }

  async unregisterConsumer(group: string): Promise<void> {
    if (!this.#consumers.delete(group)) return;
    await this.#unregister({ consumerGroup: group });
  }

  /** Now, to every broker in use. Never rejects: what fails is logged and tried again. */
  heartbeat(): Promise<void> {
    return this.#heartbeats.beat();
  }

  brokerNameOf(address: string): string | undefined {
    return this.#heartbeats.brokerNameOf(address);
  }

  /** As far as a heartbeat has told. */
  knownBrokerVersion(address: string): number | undefined {
    return this.#heartbeats.knownBrokerVersion(address);
  }

  /** @see BrokerHeartbeats.brokerVersion */
  brokerVersion(address: string): Promise<number> {
    return this.#heartbeats.brokerVersion(address);
  }

  /**
   * Client ids of the members of a group, as a broker of the topic knows them; empty when it knows none.
   * @throws RocketMQError when no broker of the topic answers
   */
  async consumerIds(group: string, topic: string): Promise<readonly string[]> {
    const request = { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP, fields: { consumerGroup: group } };
    let lastError: unknown = new RocketMQError(
      'TOPIC_NOT_FOUND',
      `No broker of topic "${topic}" is known. Create the topic, or wait for its brokers.`,
      { retryable: true },
    );
    for (const address of await this.#addressesOf(topic)) {
      try {
        const response = await this.channels.invoke(address, request, { timeoutMs: this.requestTimeoutMs });
        if (response.code === ResponseCode.SUCCESS) return parseConsumerIds(response.body);
        // "no consumer for this group" comes as SYSTEM_ERROR; ConsumerManageProcessor.getConsumerListByGroup.
        if (response.code === ResponseCode.SYSTEM_ERROR && /no consumer/i.test(response.remark ?? '')) {
          return [];
        }
        lastError = responseError(`Asking for the members of group "${group}"`, response, address);
      } catch (error) {
        lastError = error;
      }
    }
    throw lastError;
  }

  /** Lets go of everything. Producers and consumers are closed before. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#heartbeats.close();
    this.routes.close();
    await this.channels.close();
    this.#tracker.close();
  }

  async #pingNameServer(): Promise<void> {
    try {
      await this.nameServer.ping();
    } catch (error) {
      // Closing cuts a ping that is under way: that says nothing about the name server.
      if (!this.#closed) this.#tracker.nameServerAnswered(false);
      throw error;
    }
    if (!this.#closed) this.#tracker.nameServerAnswered(true);
  }

  #register<Member>(members: Map<string, Member>, group: string, member: Member, kind: string): void {
    this.#assertOpen();
    if (members.has(group)) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `This client has a ${kind} of group "${group}" already. Share it, or create the second one with another client.`,
      );
    }
    members.set(group, member);
    if (this.#beatScheduled) return;
    // Several groups that register in one go need one heartbeat.
    this.#beatScheduled = true;
    queueMicrotask(() => {
      this.#beatScheduled = false;
      if (!this.#closed) void this.#heartbeats.beat();
    });
  }

  /** Best effort: a broker that is away forgets the client with its connection. */
  async #unregister(groups: { producerGroup?: string; consumerGroup?: string }): Promise<void> {
    const reachable = [...this.#heartbeats.reachability].filter(([, answered]) => answered);
    await Promise.all(
      reachable.map(async ([address]) => {
        try {
          await this.channels.invoke(
            address,
            { code: RequestCode.UNREGISTER_CLIENT, fields: { clientID: this.clientId, ...groups } },
            { timeoutMs: UNREGISTER_TIMEOUT_MS },
          );
        } catch (error) {
          this.log(
            'debug',
            `Broker ${address} was not told that this client leaves; it notices by itself.`,
            error,
          );
        }
      }),
    );
  }

  #heartbeatData(): HeartbeatData {
    return {
      clientId: this.clientId,
      producerGroups: [...this.#producers.keys()],
      consumers: Array.from(this.#consumers.values(), (consumer) => consumer.consumerData()),
    };
  }

  /** One address per broker of the topic, in random order, the master if there is one. */
  async #addressesOf(topic: string): Promise<string[]> {
    const brokerNames = new Set((await this.routes.subscribeQueues(topic)).map((queue) => queue.brokerName));
    const addresses: string[] = [];
    for (const brokerName of brokerNames) {
      const address =
        this.routes.masterAddress(brokerName) ?? this.routes.addresses(brokerName).values().next().value;
      if (address !== undefined) addresses.push(address);
    }
    const start = Math.floor(Math.random() * addresses.length);
    return [...addresses.slice(start), ...addresses.slice(0, start)];
  }

  #assertOpen(): void {
    if (this.#closed) throw new RocketMQError('CLOSED', 'This client is closed. Create a new one.');
  }
}

function parseConsumerIds(body: Buffer): string[] {
  if (body.length === 0) return [];
  const { consumerIdList } = JSON.parse(body.toString('utf8')) as { consumerIdList?: unknown };
  return Array.isArray(consumerIdList) ? consumerIdList.filter((id) => typeof id === 'string') : [];
}
