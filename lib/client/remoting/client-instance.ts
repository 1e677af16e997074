import type { ClientLog } from '../rocketmq-client.js';
import type { Clock } from '../clock.js';
import type { ConsumerMember } from './consumer-member.js';
import type { Namespace } from './namespace.js';
import type { RemotingChannels } from './network/remoting-channels.js';
import type { RemotingCommand } from './protocol/remoting-command.js';
import type { UniqueKeyGenerator } from './protocol/unique-key.js';
import type { NameServerClient } from './route/name-server.js';
import type { RouteTable } from './route/route-table.js';

/** A producer as the client instance sees it. (Java: `MQProducerInner`.) */
export interface ProducerMember {
  /** CHECK_TRANSACTION_STATE (39) for a half message of the group. Must not throw. */
  onCheck(command: RemotingCommand, address: string): void;
}

/** What producers, consumers and admin of one client share. (Java: `MQClientInstance`.) */
export declare class ClientInstance {
  readonly clientId: string;
  readonly namespace: Namespace;
  readonly channels: RemotingChannels;
  readonly nameServer: NameServerClient;
  readonly routes: RouteTable;
  readonly uniqueKeys: UniqueKeyGenerator;
  readonly clock: Clock;
  readonly log: ClientLog;
  readonly requestTimeoutMs: number;
  registerProducer(group: string, member: ProducerMember): void;
  unregisterProducer(group: string): Promise<void>;
  registerConsumer(group: string, member: ConsumerMember): void;
  unregisterConsumer(group: string): Promise<void>;
  heartbeat(): Promise<void>;
  consumerIds(group: string, topic: string): Promise<readonly string[]>;
}
