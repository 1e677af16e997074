import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Admin } from '../admin.js';
import type { Capabilities, Capability } from '../capabilities.js';
import { systemClock } from '../clock.js';
import type { ConsumerEngine } from '../consumer/consumer-broker.js';
import { createPullConsumer } from '../consumer/default-pull-consumer.js';
import { createPushConsumer } from '../consumer/default-push-consumer.js';
import type { Producer, ProducerOptions } from '../producer.js';
import type { PullConsumer, PullConsumerOptions } from '../pull-consumer.js';
import type { PushConsumer, PushConsumerOptions } from '../push-consumer.js';
import type { ClientOptions, ConnectionState, RocketMQClient } from '../rocketmq-client.js';
import { RemotingAdmin } from './admin/remoting-admin.js';
import { buildClientId } from './client-id.js';
import { ClientInstance } from './client-instance.js';
import { remotingConsumerEngine } from './consumer/remoting-consumer-broker.js';
import { RemotingProducer } from './producer/remoting-producer.js';
import { parseNameServers } from './route/name-server.js';

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

/** The engine for name servers and brokers of RocketMQ 4.9 and 5.x. */
export class RemotingClient implements RocketMQClient {
  readonly engine = 'remoting';
  readonly capabilities = CAPABILITIES;
  readonly admin: Admin;
  readonly #instance: ClientInstance;
  readonly #consumerEngine: ConsumerEngine;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<{ close(): Promise<unknown> }>();
  #closing: Promise<void> | undefined;

  /** @throws RocketMQError `INVALID_CONFIGURATION` */
  constructor(options: ClientOptions) {
    this.#instance = new ClientInstance({
      nameServers: nameServersOf(options),
      clientId: buildClientId(options.instanceName),
      namespace: options.namespace,
      connectTimeoutMs: options.connectTimeoutMs ?? 3_000,
      requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
      routePollIntervalMs: options.routePollIntervalMs ?? 30_000,
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? 30_000,
      clock: options.clock ?? systemClock,
      log: options.log ?? (() => undefined),
    });
    this.#consumerEngine = remotingConsumerEngine(this.#instance);
    this.admin = new RemotingAdmin(this.#instance);
  }

  get clientId(): string {
    return this.#instance.clientId;
  }

  get state(): ConnectionState {
    return this.#instance.state;
  }

  onStateChange(listener: (state: ConnectionState) => void): void {
    this.#instance.onStateChange(listener);
  }

  start(): Promise<void> {
    return this.#instance.start();
  }

  createProducer(options: ProducerOptions): Producer {
    this.#assertOpen();
    const producer = new RemotingProducer(this.#instance, options, () => this.#producers.delete(producer));
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

  checkConnection(): Promise<ConnectionState> {
    return this.#instance.checkConnection();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#closeAll('consumer', this.#consumers);
    await this.#closeAll('producer', this.#producers);
    await this.admin.close();
    await this.#instance.close();
  }

  /** One that fails must not keep the others open. */
  async #closeAll(kind: string, members: ReadonlySet<{ close(): Promise<unknown> }>): Promise<void> {
    const results = await Promise.allSettled(Array.from(members, (member) => member.close()));
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      this.#instance.log('error', `Closing a ${kind} failed; its connections are closed now.`, result.reason);
    }
  }

  #assertOpen(): void {
    if (this.#closing) throw new RocketMQError('CLOSED', 'This client is closed. Create a new one.');
  }
}

function nameServersOf({ nameServer }: ClientOptions): string[] {
  const addresses = parseNameServers(nameServer ?? '');
  const wrong = addresses.find((address) => !/^(?:[^\s:[\]]+|\[[0-9a-fA-F:.%]+\]):\d{1,5}$/.test(address));
  if (addresses.length > 0 && wrong === undefined) return addresses;
  throw new RocketMQError(
    'INVALID_CONFIGURATION',
    `nameServer is "${nameServer ?? ''}"${wrong === undefined ? '' : `, of which "${wrong}" is no address`}. Write "host:9876", several joined with ";".`,
  );
}
