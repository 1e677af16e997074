import type { InjectionToken } from '@nestjs/common';
import type { ProducerOptions } from '../client/producer.js';
import type { TopicOptions } from '../client/admin.js';
import type { ClientOptions } from '../client/rocketmq-client.js';
import type { Duration } from '../message/duration.js';
import type { FailurePolicies } from '../listener/failure-policy.js';
import type { EnhancerSwitches } from '../listener/handler-pipeline.js';
import type { ListenerOverrides } from '../listener/listener-options.js';
import type { TransactionHost } from '../database/transaction-host.js';
import type { IdempotencyOptions } from '../idempotency/idempotency-options.js';
import type { TransactionOptions } from '../transaction/transaction-options.js';
import type { MessageSerializer } from '../message/message-serializer.js';
import type { OutboxOptions } from '../outbox/outbox-options.js';

/** One cluster this application talks to. */
export interface ConnectionOptions extends Omit<ClientOptions, 'clock' | 'log'> {
  /** How this connection sends. @default { group: 'nestjs-rocketmq' } */
  readonly producer?: Partial<ProducerOptions>;
  /** For payloads sent and received over this connection. @default jsonSerializer */
  readonly serializer?: MessageSerializer;
  /**
   * Topics by name that have to be there beside those of listeners (because the application sends to them), or that
   * have to be of a certain type: looked at and, with `topics: 'create'`, created with the connection's listeners.
   * The type of a topic that is there is compared and never changed; 4.x brokers know no types.
   */
  readonly declaredTopics?: Readonly<Record<string, TopicOptions>>;
}

/** What to do at boot about topics that listeners want. */
export type TopicPolicy = 'check' | 'create' | 'ignore';

/** Options of `RocketMQModule.forRoot`; the top level describes the connection named `default`. */
export interface RocketMQModuleOptions extends ConnectionOptions {
  /** Further connections by name; `connection: name` in listeners, `@InjectRocketMQTemplate(name)` to send. */
  readonly connections?: Readonly<Record<string, ConnectionOptions>>;
  /** Start listeners with the application. Otherwise: `RocketMQListenerRegistry.start()`. @default true */
  readonly autoStart?: boolean;
  /**
   * `false`: no broker at boot is an error. `true`: the application starts, `RocketMQConnections` and the health
   * indicator show the state, and listeners start when the broker is there. @default false
   */
  readonly startWithoutBroker?: boolean;
  /**
   * Topics of listeners and `declaredTopics` that are missing: an error, created (of type FIFO for ordered listeners,
   * NORMAL for others, unless declared), or left to the broker. `ignore` looks at no types either. @default 'check'
   */
  readonly topics?: TopicPolicy;
  /** Which global guards, interceptors and filters of the application work on messages. @default all */
  readonly enhancers?: EnhancerSwitches;
  /** Changes options of listeners by id; `enabled: false` leaves one out. */
  readonly listeners?: Readonly<Record<string, ListenerOverrides>>;
  /** How the application stops listening. */
  readonly shutdown?: {
    /** How long handlers at work may take when the application closes. @default '10s' */
    readonly drainTimeout?: Duration;
  };
  /** What becomes of messages that trying again cannot help. @default reject, for all */
  readonly failures?: FailurePolicies;
  /** Where outbox, idempotency and transactions find the database. */
  readonly database?: {
    /** Token of the `DataSource` outbox, idempotency and transactions use. @default TypeORM's `DataSource` */
    readonly dataSource?: InjectionToken;
    /** Finds the transaction of `outbox.send(destination, payload)`, without `tx`. @default the DataSource's manager */
    readonly transactionHost?: TransactionHost;
  };
  /** `Outbox`: messages written in database transactions. @default off */
  readonly outbox?: boolean | OutboxOptions;
  /** `@Idempotent()`: one effect per message. @default off */
  readonly idempotency?: boolean | IdempotencyOptions;
  /** `RocketMQTemplate.sendInTransaction`: transactional messages. @default off */
  readonly transactions?: boolean | TransactionOptions;
  /** Log lines from events, through Nest's Logger. @default true */
  readonly logging?: boolean;
}

export const CONNECTION_KEYS: readonly (keyof ConnectionOptions)[] = [
  'nameServer',
  'endpoints',
  'engine',
  'memory',
  'instanceName',
  'namespace',
  'connectTimeoutMs',
  'requestTimeoutMs',
  'routePollIntervalMs',
  'heartbeatIntervalMs',
  'producer',
  'serializer',
  'declaredTopics',
];

export const MODULE_KEYS: ReadonlySet<string> = new Set<keyof RocketMQModuleOptions>([
  ...CONNECTION_KEYS,
  'connections',
  'autoStart',
  'startWithoutBroker',
  'topics',
  'enhancers',
  'listeners',
  'shutdown',
  'failures',
  'database',
  'outbox',
  'idempotency',
  'transactions',
  'logging',
]);

export const DEFAULT_PRODUCER_GROUP = 'nestjs-rocketmq';
