import { connect, createServer, type Server, type Socket } from 'node:net';
import { DelayedPipe } from './delayed-pipe.js';

/** What happens to the connections of a proxy. */
export interface Weather {
  /** New connections are closed at once. */
  readonly refuse?: boolean;
  /** Nothing passes in either direction, and nobody is told: both sides see a peer that is silent. */
  readonly stalled?: boolean;
  /** Milliseconds from the client to the server. */
  readonly upMs?: number;
  /** Milliseconds from the server to the client. */
  readonly downMs?: number;
  /** The part of the connections, old and new, that is affected. @default 1 */
  readonly share?: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly up: DelayedPipe;
  readonly down: DelayedPipe;
  /** Between 0 and 1: a share below it passes this connection by. */
  readonly luck: number;
}

/** Stands between the processes under test and one server, and makes the weather. */
export class TcpProxy {
  private readonly connections = new Set<Connection>();
  private readonly listeners: Server[] = [];
  private weather: Weather = {};

  /** @param luck a number between 0 and 1 for each new connection */
  constructor(private readonly luck: () => number) {}

  get open(): number {
    return this.connections.size;
  }

  /** @returns the port it listens on */
  async listen(at: Address, target: Address): Promise<number> {
    // The half that is closed first does not close the other one: the pipes do, when everything has passed.
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.accept(client, target);
    });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(at.port, at.host, resolve);
    });
    this.listeners.push(listener);
    const address = listener.address();
    return typeof address === 'object' && address !== null ? address.port : at.port;
  }

  /** From now on; replaces the weather before. */
  set(weather: Weather): void {
    this.weather = weather;
    for (const connection of this.connections) this.apply(connection);
  }

  clear(): void {
    this.set({});
  }

  /** Resets connections: all of them, or about this share. @returns how many */
  cut(share = 1): number {
    let cut = 0;
    for (const connection of this.connections) {
      if (share < 1 && this.luck() >= share) continue;
      cut += 1;
      connection.client.resetAndDestroy();
      connection.server.resetAndDestroy();
    }
    return cut;
  }

  async close(): Promise<void> {
    const closed = this.listeners.map(
      (listener) =>
        new Promise<void>((resolve) => {
          listener.close(() => resolve());
        }),
    );
    this.cut();
    await Promise.all(closed);
  }

  private accept(client: Socket, target: Address): void {
    const luck = this.luck();
    client.on('error', () => {});
    if (this.weather.refuse && this.affects(luck)) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    server.on('error', () => {});
    const connection: Connection = {
      client,
      server,
      up: new DelayedPipe(client, server),
      down: new DelayedPipe(server, client),
      luck,
    };
    this.connections.add(connection);
    this.apply(connection);
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.once('close', (failed) => {
        this.connections.delete(connection);
        connection.up.close();
        connection.down.close();
        if (failed) peer.resetAndDestroy();
        else peer.destroy();
      });
    }
  }

  private apply({ up, down, luck }: Connection): void {
    const affected = this.affects(luck);
    const { stalled = false, upMs = 0, downMs = 0 } = this.weather;
    up.shape(affected ? { delayMs: upMs, held: stalled } : { delayMs: 0, held: false });
    down.shape(affected ? { delayMs: downMs, held: stalled } : { delayMs: 0, held: false });
  }

  private affects(luck: number): boolean {
    return luck < (this.weather.share ?? 1);
  }
}
