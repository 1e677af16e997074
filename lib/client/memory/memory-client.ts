import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Capabilities, Capability } from '../capabilities.js';
import { systemClock, type ClockTimer } from '../clock.js';
import type { ConsumerEngine } from '../consumer/consumer-broker.js';
import { createPullConsumer } from '../consumer/default-pull-consumer.js';
import { createPushConsumer } from '../consumer/default-push-consumer.js';
import { Namespace } from '../namespace.js';
import type { Producer, ProducerOptions } from '../producer.js';
import type { PullConsumer, PullConsumerOptions } from '../pull-consumer.js';
import type { PushConsumer, PushConsumerOptions } from '../push-consumer.js';
import type { ClientOptions, ConnectionState, RocketMQClient } from '../rocketmq-client.js';
import { MemoryAdmin } from './memory-admin.js';
import { MemoryBroker } from './memory-broker.js';
import type { MemoryClientContext, Membership } from './memory-client-context.js';
import { memoryConsumerEngine } from './memory-consumer-broker.js';
import { MemoryProducer } from './memory-producer.js';
import { UniqueKeys } from './unique-key.js';

const CAPABILITIES: Capabilities = new Set<Capability>([
  'one-way',
  'batch',
  'ordered',
  'delay-level',
  'timer',
  'recall',
  'transaction',
  'broadcasting',
  'orderly',
  'pull',
  'seek',
  'sql92',
  'start-from-timestamp',
  'request-reply',
  'admin',
]);

/** A client of the in-process broker. */
export class MemoryClient implements RocketMQClient {
  readonly engine = 'memory';
  readonly capabilities = CAPABILITIES;
  readonly clientId: string;
  readonly admin: MemoryAdmin;
  readonly #context: MemoryClientContext;
  /** Nobody else can reach a broker that was made here. */
  readonly #ownsBroker: boolean;
  readonly #heartbeatIntervalMs: number;
  readonly #producers = new Set<MemoryProducer>();
  readonly #consumerEngine: ConsumerEngine;
  readonly #consumers = new Set<PushConsumer | PullConsumer>();
  /** Consumers that are registered, to be heard of. */
  readonly #members = new Set<{ heartbeat(): Promise<void> }>();
  /** What is started, as `kind group`. */
  readonly #started = new Set<string>();
  readonly #stateListeners = new Set<(state: ConnectionState) => void>();
  #state: ConnectionState = 'connecting';
  #heartbeatTimer: ClockTimer;
  #closing: Promise<void> | undefined;

  /** @throws RocketMQError `INVALID_CONFIGURATION` */
  constructor(options: ClientOptions) {
    const clock = options.clock ?? systemClock;
    const broker = brokerOf(options) ?? new MemoryBroker({ clock });
    const { random } = broker.settings;
    const instanceName = options.instanceName ?? Math.floor(random() * 2 ** 48).toString(36);
    this.#ownsBroker = options.memory === undefined;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs ?? 30_000;
    this.clientId = `memory@${instanceName}`;
    this.#context = {
      clientId: this.clientId,
      broker,
      connection: broker.connect(this.clientId, clock, () => this.#die()),
      namespace: new Namespace(options.namespace),
      uniqueKeys: new UniqueKeys(clock, random),
      clock,
      log: options.log ?? (() => undefined),
      requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
    };
    this.#consumerEngine = memoryConsumerEngine(
      this.#context,
      (group) => this.#membership('consumer', group),
      this.#members,
    );
    this.admin = new MemoryAdmin(this.#context);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  onStateChange(listener: (state: ConnectionState) => void): void {
    this.#stateListeners.add(listener);
  }

  async start(): Promise<void> {
    this.#assertOpen();
    await this.#ping();
    this.#heartbeatTimer ??= this.#scheduleHeartbeat();
  }

  createProducer(options: ProducerOptions): Producer {
    this.#assertOpen();
    const producer: MemoryProducer = new MemoryProducer(
      this.#context,
      options,
      this.#membership('producer', options.group, () => this.#producers.delete(producer)),
    );
    this.#producers.add(producer);
    return producer;
  }

  createPushConsumer(options: PushConsumerOptions): PushConsumer {
    this.#assertOpen();
    const consumer: PushConsumer = createPushConsumer(this.#consumerEngine, options, () =>
      this.#consumers.delete(consumer),
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  createPullConsumer(options: PullConsumerOptions): PullConsumer {
    this.#assertOpen();
    const consumer: PullConsumer = createPullConsumer(this.#consumerEngine, options, () =>
      this.#consumers.delete(consumer),
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  async checkConnection(): Promise<ConnectionState> {
    if (this.#state === 'closed') return this.#state;
    await this.#ping().catch(() => undefined);
    return this.#state;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { broker, clock } = this.#context;
    clock.clearTimeout(this.#heartbeatTimer);
    // Consumers first: their handlers may still want to send.
    await this.#closeAll(this.#consumers);
    await this.#closeAll(this.#producers);
    await this.admin.close();
    this.#setState('closed');
    broker.disconnect(this.clientId);
    if (this.#ownsBroker) broker.close();
  }

  /** One that fails must not keep the others open. */
  async #closeAll(members: ReadonlySet<{ close(): Promise<unknown> }>): Promise<void> {
    const results = await Promise.allSettled(Array.from(members, (member) => member.close()));
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      this.#context.log('error', 'Closing a producer or consumer failed; it is cut off now.', result.reason);
    }
  }

  /** The broker cut the connection for good: the process of this client is dead, as far as anybody can see. */
  #die(): void {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    this.#closing ??= Promise.resolve();
    this.#context.clock.clearTimeout(this.#heartbeatTimer);
    // What they still try comes to nothing.
    for (const consumer of this.#consumers) void consumer.close(0);
    for (const producer of this.#producers) producer.die();
    void this.admin.close();
  }

  async #ping(): Promise<void> {
    const { connection, requestTimeoutMs } = this.#context;
    try {
      await connection.request({ kind: 'ping' }, () => undefined, { timeoutMs: requestTimeoutMs });
      this.#setState('up');
    } catch (error) {
      this.#setState('down');
      throw error;
    }
  }

  #scheduleHeartbeat(): ClockTimer {
    return this.#context.clock.setTimeout(() => {
      void this.#heartbeat().then(() => {
        if (!this.#closing) this.#heartbeatTimer = this.#scheduleHeartbeat();
      });
    }, this.#heartbeatIntervalMs);
  }

  /** Never rejects. */
  async #heartbeat(): Promise<void> {
    await this.checkConnection();
    for (const member of Array.from(this.#members)) await member.heartbeat();
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of this.#stateListeners) {
      try {
        listener(state);
      } catch (error) {
        this.#context.log('error', 'A listener for the state of the client failed. Fix the listener.', error);
      }
    }
  }

  #membership(kind: 'producer' | 'consumer', group: string, onEnd?: () => void): Membership {
    const key = `${kind} ${group}`;
    let joined = false;
    return {
      join: () => {
        if (this.#started.has(key)) {
          throw new RocketMQError(
            'INVALID_CONFIGURATION',
            `This client has a ${kind} of group "${group}" already. Share it, or create the second one with another client.`,
          );
        }
        this.#started.add(key);
        joined = true;
      },
      leave: () => {
        if (joined) this.#started.delete(key);
        onEnd?.();
      },
    };
  }

  #assertOpen(): void {
    if (this.#closing) throw new RocketMQError('CLOSED', 'This client is closed. Create a new one.');
  }
}

function brokerOf({ memory }: ClientOptions): MemoryBroker | undefined {
  if (memory === undefined) return undefined;
  if (memory.broker instanceof MemoryBroker) return memory.broker;
  throw new RocketMQError(
    'INVALID_CONFIGURATION',
    'The option memory.broker is not a MemoryBroker of this copy of the package. Create one with new MemoryBroker().',
  );
}
