import type { Admin } from './admin.js';
import type { Capabilities } from './capabilities.js';
import type { Clock } from './clock.js';
import type { Producer, ProducerOptions } from './producer.js';
import type { PullConsumer, PullConsumerOptions } from './pull-consumer.js';
import type { PushConsumer, PushConsumerOptions } from './push-consumer.js';

/** A line an engine has to say; the Nest module passes them on to Nest's logger. */
export type ClientLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  error?: unknown,
) => void;

/** The in-process broker that several clients of one process share: a `MemoryBroker`. */
export interface MemoryBrokerHandle {
  /** In receipts and queues. */
  readonly name: string;
  /** Ends its timers and cuts off its clients. */
  close(): void;
}

/** Which cluster, and how to talk to it. One of `nameServer`, `endpoints` and `engine` has to be given. */
export interface ClientOptions {
  /** Name servers of the remoting engine: `host:9876;host2:9876`. */
  readonly nameServer?: string;
  /** Proxies of the gRPC engine: `host:8081`. */
  readonly endpoints?: string;
  /** The in-process engine, for tests and a first look. */
  readonly engine?: 'memory';
  /** Which in-process broker to join; clients with the same one see the same messages. @default a broker of its own */
  readonly memory?: { readonly broker: MemoryBrokerHandle };
  /** Distinguishes several clients of one process and host. @default a random text */
  readonly instanceName?: string;
  /** Prefix of topics and groups, to keep environments apart. */
  readonly namespace?: string;
  /** Milliseconds to open a connection. @default 3000 */
  readonly connectTimeoutMs?: number;
  /** Milliseconds for administrative requests, offsets, heartbeats. @default 5000 */
  readonly requestTimeoutMs?: number;
  /** How often routes are read again, milliseconds. @default 30000 */
  readonly routePollIntervalMs?: number;
  /** How often brokers hear from this client, milliseconds. @default 30000 */
  readonly heartbeatIntervalMs?: number;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** @default silent */
  readonly log?: ClientLog;
}

/** Whether brokers are within reach; also the source of health. */
export type ConnectionState = 'connecting' | 'up' | 'down' | 'closed';

/**
 * The port every engine implements: the same call means the same thing on each, or is refused at boot.
 * Everything created here is closed with the client.
 */
export interface RocketMQClient {
  readonly engine: 'remoting' | 'grpc' | 'memory';
  readonly capabilities: Capabilities;
  readonly clientId: string;
  /**
   * Reaches out once.
   * @throws RocketMQError `CONNECTION_FAILED` when no name server or endpoint answers
   */
  start(): Promise<void>;
  /** A producer that has yet to be started. It is closed with the client. */
  createProducer(options: ProducerOptions): Producer;
  /** A push consumer that has yet to be started. It is closed with the client. */
  createPushConsumer(options: PushConsumerOptions): PushConsumer;
  /** A pull consumer that has yet to be started. It is closed with the client. */
  createPullConsumer(options: PullConsumerOptions): PullConsumer;
  /** Topics, groups, offsets. */
  readonly admin: Admin;
  /** Asks the name server or endpoint now. */
  checkConnection(): Promise<ConnectionState>;
  readonly state: ConnectionState;
  /** Called with every change of {@link ConnectionState}. */
  onStateChange(listener: (state: ConnectionState) => void): void;
  /** Consumers first, then producers, then connections. Idempotent. */
  close(): Promise<void>;
}
