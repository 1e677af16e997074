import type { ClientLog, ConnectionState } from '../rocketmq-client.js';

/**
 * Whether brokers are within reach. Brokers in use decide, since messages flow without a name server;
 * as long as none is in use, the name server does.
 */
export class ConnectionTracker {
  readonly #reachability: () => ReadonlyMap<string, boolean>;
  readonly #log: ClientLog;
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  #nameServer: boolean | undefined;
  #state: ConnectionState = 'connecting';

  /** @param reachability of the brokers in use, by address */
  constructor(reachability: () => ReadonlyMap<string, boolean>, log: ClientLog) {
    this.#reachability = reachability;
    this.#log = log;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  onChange(listener: (state: ConnectionState) => void): void {
    this.#listeners.add(listener);
  }

  nameServerAnswered(answered: boolean): void {
    this.#nameServer = answered;
    this.update();
  }

  /** Looks at the brokers again. */
  update(): void {
    if (this.#state !== 'closed') this.#set(this.#derive());
  }

  close(): void {
    this.#set('closed');
    this.#listeners.clear();
  }

  #derive(): ConnectionState {
    const brokers = this.#reachability();
    if (brokers.size > 0) return [...brokers.values()].some(Boolean) ? 'up' : 'down';
    if (this.#nameServer === undefined) return 'connecting';
    return this.#nameServer ? 'up' : 'down';
  }

  #set(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        this.#log(
          'error',
          `A listener for the connection state failed at "${state}". Fix the listener.`,
          error,
        );
      }
    }
  }
}
