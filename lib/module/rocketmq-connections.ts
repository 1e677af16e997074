import type { ConnectionState } from '../client/rocketmq-client.js';
import { DEFAULT_CONNECTION } from '../listener/listener-options.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQConnection } from './rocketmq-connection.js';

/** The connections of this application, by name. */
export class RocketMQConnections implements Iterable<RocketMQConnection> {
  /** @internal made by the module */
  constructor(private readonly connections: ReadonlyMap<string, RocketMQConnection>) {}

  /** @throws RocketMQError `INVALID_CONFIGURATION` when there is no such connection */
  get(name: string = DEFAULT_CONNECTION): RocketMQConnection {
    const connection = this.connections.get(name);
    if (connection !== undefined) return connection;
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `There is no connection "${name}". Known: ${this.names().join(', ')}. Add it to connections in RocketMQModule.forRoot.`,
    );
  }

  /** Whether there is a connection of this name. */
  has(name: string): boolean {
    return this.connections.has(name);
  }

  /** `default` and the names of `connections`. */
  names(): readonly string[] {
    return [...this.connections.keys()];
  }

  /** Every connection with its state, as last seen; nobody is asked. */
  states(): Readonly<Record<string, ConnectionState>> {
    return Object.fromEntries([...this.connections].map(([name, { state }]) => [name, state]));
  }

  [Symbol.iterator](): Iterator<RocketMQConnection> {
    return this.connections.values();
  }
}
