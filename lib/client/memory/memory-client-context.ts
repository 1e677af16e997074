import type { Clock } from '../clock.js';
import type { Namespace } from '../namespace.js';
import type { ClientLog } from '../rocketmq-client.js';
import type { BrokerConnection } from './broker-connection.js';
import type { MemoryBroker } from './memory-broker.js';
import type { UniqueKeys } from './unique-key.js';

/** What the producers, consumers and admin of one client share. */
export interface MemoryClientContext {
  readonly clientId: string;
  readonly broker: MemoryBroker;
  readonly connection: BrokerConnection;
  readonly namespace: Namespace;
  readonly uniqueKeys: UniqueKeys;
  readonly clock: Clock;
  readonly log: ClientLog;
  readonly requestTimeoutMs: number;
}

/** A group is once in a client: two would take each other's checks or queues. */
export interface Membership {
  /** @throws RocketMQError `INVALID_CONFIGURATION` when the client has one of the group already */
  join(): void;
  leave(): void;
}
