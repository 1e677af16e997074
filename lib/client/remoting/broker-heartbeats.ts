import type { Clock, ClockTimer } from '../clock.js';
import type { ClientLog } from '../rocketmq-client.js';
import type { RemotingChannels } from './network/remoting-channels.js';
import { encodeHeartbeat, type HeartbeatData } from './protocol/heartbeat-data.js';
import type { RemotingCommand } from './protocol/remoting-command.js';
import { RequestCode } from './protocol/request-code.js';
import { ResponseCode } from './protocol/response-code.js';
import { responseError } from './protocol/response-error.js';
import { MASTER_ID } from './protocol/route-data.js';
import type { NameServerClient } from './route/name-server.js';
import type { RouteTable } from './route/route-table.js';

/** A lost broker is looked for after so many milliseconds, then twice as many, up to the heartbeat interval. */
const FIRST_REVIVAL_MS = 100;

export interface HeartbeatOptions {
  readonly intervalMs: number;
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly log: ClientLog;
  /** What to announce now. */
  readonly data: () => HeartbeatData;
  /** Whether brokers without a topic in use are to know this client too. */
  readonly everywhere: () => boolean;
  /** Whenever a broker answered or failed to. */
  readonly onReachability: () => void;
  /** An interval passed and no broker is in use. Must not throw. */
  readonly onIdle: () => void;
}

/**
 * Tells every broker in use who lives here: all groups of the client in one heartbeat, every interval, and at once
 * to brokers that are new or were lost. Brokers ask only clients they know about transactions, and share queues
 * only among them. (Java: `MQClientInstance.sendHeartbeatToAllBrokerWithLock`.)
 */
export class BrokerHeartbeats {
  readonly #channels: RemotingChannels;
  readonly #nameServer: NameServerClient;
  readonly #routes: RouteTable;
  readonly #options: HeartbeatOptions;
  /** Masters of the cluster, address to broker name; looked up while {@link HeartbeatOptions.everywhere}. */
  #masters: ReadonlyMap<string, string> = new Map();
  /** By address: whether the last heartbeat was answered. */
  readonly #reachable = new Map<string, boolean>();
  readonly #versions = new Map<string, number>();
  /** Heartbeats under way, by address. */
  readonly #beating = new Map<string, number>();
  readonly #revivals = new Map<string, ClockTimer>();
  readonly #removeListeners: (() => void)[] = [];
  #timer: ClockTimer;
  #closed = false;

  constructor(
    channels: RemotingChannels,
    nameServer: NameServerClient,
    routes: RouteTable,
    options: HeartbeatOptions,
  ) {
    this.#channels = channels;
    this.#nameServer = nameServer;
    this.#routes = routes;
    this.#options = options;
  }

  start(): void {
    this.#removeListeners.push(
      this.#channels.onConnect((address) => this.#onConnect(address)),
      this.#channels.onDisconnect((address) => this.#onDisconnect(address)),
      this.#routes.onChange(() => this.#greetNewBrokers()),
    );
    this.#arm();
  }

  /** Now, to every broker in use. Never rejects: what fails is logged and tried again. */
  async beat(): Promise<void> {
    if (this.#options.everywhere()) await this.#lookUpMasters();
    const addresses = this.#addresses();
    this.#forgetOthers(addresses);
    if (addresses.length === 0) this.#options.onIdle();
    await Promise.all(addresses.map((address) => this.#beatOne(address)));
  }

  /** By broker address: whether it answered last time. Empty as long as no broker is in use. */
  get reachability(): ReadonlyMap<string, boolean> {
    return this.#reachable;
  }

  knownBrokerVersion(address: string): number | undefined {
    return this.#versions.get(address);
  }

  /**
   * The version a broker runs, as an ordinal of Java's `MQVersion.Version`.
   * @throws RocketMQError when the broker cannot be reached
   */
  async brokerVersion(address: string): Promise<number> {
    return this.#versions.get(address) ?? this.#request(address);
  }

  brokerNameOf(address: string): string | undefined {
    for (const { brokerName, addresses } of this.#routes.allBrokers()) {
      for (const known of addresses.values()) if (known === address) return brokerName;
    }
    return this.#masters.get(address);
  }

  close(): void {
    this.#closed = true;
    this.#options.clock.clearTimeout(this.#timer);
    for (const timer of this.#revivals.values()) this.#options.clock.clearTimeout(timer);
    this.#revivals.clear();
    for (const remove of this.#removeListeners.splice(0)) remove();
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      void this.beat().finally(() => {
        if (!this.#closed) this.#arm();
      });
    }, this.#options.intervalMs);
  }

  async #lookUpMasters(): Promise<void> {
    try {
      const { brokers } = await this.#nameServer.clusterInfo();
      const masters = new Map<string, string>();
      for (const { brokerName, brokerAddrs } of brokers) {
        const address = brokerAddrs.get(MASTER_ID);
        if (address !== undefined) masters.set(address, brokerName);
      }
      this.#masters = masters;
    } catch (error) {
      if (this.#closed) return;
      this.#options.log(
        'warn',
        'The brokers of the cluster could not be looked up: those without a topic in use do not know this producer yet. It is tried again with the next heartbeat.',
        error,
      );
    }
  }

  /** Masters, and slaves as well while there are consumers. */
  #addresses(): string[] {
    const { producerGroups, consumers } = this.#options.data();
    if (producerGroups.length === 0 && consumers.length === 0) return [];
    const addresses = new Set<string>(this.#options.everywhere() ? this.#masters.keys() : []);
    for (const broker of this.#routes.allBrokers()) {
      for (const [brokerId, address] of broker.addresses) {
        if (brokerId === MASTER_ID || consumers.length > 0) addresses.add(address);
      }
    }
    return [...addresses];
  }

  /** Resolves with whether the broker answered. */
  async #beatOne(address: string): Promise<boolean> {
    if (this.#closed) return false;
    try {
      await this.#request(address);
      this.#settle(address, true);
      return true;
    } catch (error) {
      if (this.#closed) return false;
      const first = this.#reachable.get(address) !== false;
      this.#settle(address, false);
      this.#options.log(
        first ? 'warn' : 'debug',
        `Broker ${address} does not answer the heartbeat. It is tried again; if this lasts, check the broker and the network.`,
        error,
      );
      this.#revive(address);
      return false;
    }
  }

  async #request(address: string): Promise<number> {
    const request = { code: RequestCode.HEART_BEAT, body: encodeHeartbeat(this.#options.data()) };
    const timeoutMs = this.#options.requestTimeoutMs;
    const underWay = this.#beating.get(address) ?? 0;
    this.#beating.set(address, underWay + 1);
    let response: RemotingCommand;
    try {
      response = await this.#channels.invoke(address, request, { timeoutMs });
    } finally {
      const left = (this.#beating.get(address) ?? 1) - 1;
      if (left > 0) this.#beating.set(address, left);
      else this.#beating.delete(address);
    }
    if (response.code !== ResponseCode.SUCCESS) {
      throw responseError('The heartbeat', response, address);
    }
    this.#versions.set(address, response.version);
    return response.version;
  }

  #settle(address: string, reachable: boolean): void {
    if (this.#reachable.get(address) === reachable) return;
    this.#reachable.set(address, reachable);
    this.#options.onReachability();
  }

  /** A broker that left the route may come back as another version, or never. */
  #forgetOthers(addresses: readonly string[]): void {
    const current = new Set(addresses);
    let changed = false;
    for (const address of this.#reachable.keys()) {
      if (!current.has(address)) changed = this.#reachable.delete(address) || changed;
    }
    for (const [address, timer] of this.#revivals) {
      if (current.has(address)) continue;
      this.#options.clock.clearTimeout(timer);
      this.#revivals.delete(address);
    }
    if (changed) this.#options.onReachability();
  }

  #greetNewBrokers(): void {
    const addresses = this.#addresses();
    this.#forgetOthers(addresses);
    for (const address of addresses) {
      if (!this.#reachable.has(address)) void this.#beatOne(address);
    }
  }

  /** A broker knows a client by its connection: each new one needs a heartbeat of its own. */
  #onConnect(address: string): void {
    if (this.#beating.has(address) || !this.#addresses().includes(address)) return;
    void this.#beatOne(address);
  }

  #onDisconnect(address: string): void {
    this.#versions.delete(address);
    if (this.#closed || !this.#addresses().includes(address)) return;
    // The broker forgot this client with the connection.
    this.#revive(address);
  }

  #revive(address: string, delayMs: number = FIRST_REVIVAL_MS): void {
    if (this.#closed || this.#revivals.has(address)) return;
    const timer = this.#options.clock.setTimeout(() => {
      if (!this.#addresses().includes(address)) {
        this.#revivals.delete(address);
        return;
      }
      // Stays in the map meanwhile, so that the failure below does not start over at the first delay.
      void this.#beatOne(address).then((alive) => {
        this.#revivals.delete(address);
        if (!alive) this.#revive(address, Math.min(delayMs * 2, this.#options.intervalMs));
      });
    }, delayMs);
    this.#revivals.set(address, timer);
  }
}
