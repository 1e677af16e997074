import type { Prng } from '../../../test/simulation/prng.js';
import { startPostgres, type Postgres } from '../../stack/postgres.js';
import { startStack, type Stack, type StackPart } from '../../stack/stack.js';
import { TcpProxy, type Address } from './tcp-proxy.js';

/** The broker tells clients to come here, where the proxy is; it listens on 127.0.0.1. */
const IN_FRONT_OF_BROKER = '127.0.0.2';
const LOOPBACK = '127.0.0.1';
/** Brokers listen there, too, for what should not wait behind messages. */
const FAST_PORT_OFFSET = -2;

export const SERVERS = ['broker', 'name server', 'database'] as const;
export type ServerName = (typeof SERVERS)[number];

/** Real servers of our own, and a proxy between each of them and the processes. */
export interface Surroundings {
  readonly nameServer: StackPart;
  readonly broker: StackPart;
  readonly database: Postgres;
  readonly wires: Readonly<Record<ServerName, TcpProxy>>;
  /** Behind the proxies, for the processes under test. */
  readonly behindProxies: { readonly nameServer: string; readonly databaseUrl: string };
  /** Past the proxies. Addresses of the broker lead through its proxy all the same: there is only one for everybody. */
  readonly direct: { readonly nameServer: string; readonly databaseUrl: string };
  /** Everything that should run runs and can be used; the weather is fine. */
  restore(): Promise<void>;
  stop(): Promise<void>;
}

export interface SurroundingsOptions {
  readonly name: string;
  readonly random: Prng;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

function addressOf(text: string): Address {
  const [host = LOOPBACK, port = ''] = text.split(':');
  return { host, port: Number(port) };
}

/** @throws StackError that says what is missing; what was started before is stopped. */
export async function startSurroundings(options: SurroundingsOptions): Promise<Surroundings> {
  const { name, random, signal, onProgress } = options;
  const wires = {
    broker: new TcpProxy(random.next),
    'name server': new TcpProxy(random.next),
    database: new TcpProxy(random.next),
  };
  let stack: Stack | undefined;
  let database: Postgres | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(Object.values(wires).map((wire) => wire.close()));
    await Promise.all([stack?.stop(), database?.stop()]);
  };
  try {
    const starting = await Promise.allSettled([
      startStack({
        name,
        release: '5.5.0',
        signal,
        onProgress,
        brokerConfig: {
          brokerIP1: IN_FRONT_OF_BROKER,
          // Checks are asked once a second here: fifteen would end with an outage that production takes for short.
          transactionCheckMax: 10_000,
          fileReservedTime: 72,
        },
      }).then((started) => (stack = started)),
      startPostgres({ name, onProgress }).then((started) => (database = started)),
    ]);
    const failed = starting.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    if (!stack || !database) throw new Error('unreachable');
    return await connectWires(stack, database, wires, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function connectWires(
  stack: Stack,
  database: Postgres,
  wires: Readonly<Record<ServerName, TcpProxy>>,
  stop: () => Promise<void>,
): Promise<Surroundings> {
  const nameServer = stack.part('namesrv');
  const broker = stack.broker('broker-a');
  const atBroker = addressOf(broker.address);
  for (const port of [atBroker.port, atBroker.port + FAST_PORT_OFFSET]) {
    await wires.broker.listen({ host: IN_FRONT_OF_BROKER, port }, { host: atBroker.host, port });
  }
  const nameServerPort = await wires['name server'].listen(
    { host: LOOPBACK, port: 0 },
    addressOf(nameServer.address),
  );
  const databasePort = await wires.database.listen(
    { host: LOOPBACK, port: 0 },
    { host: LOOPBACK, port: database.port },
  );
  const behindProxy = new URL(database.url);
  behindProxy.port = String(databasePort);
  return {
    nameServer,
    broker,
    database,
    wires,
    behindProxies: { nameServer: `${LOOPBACK}:${nameServerPort}`, databaseUrl: behindProxy.href },
    direct: { nameServer: stack.nameServer, databaseUrl: database.url },
    restore: async () => {
      for (const wire of Object.values(wires)) wire.clear();
      for (const part of [nameServer, broker]) {
        part.resume();
        if (!part.running) await part.start();
      }
      if (!database.running) await database.restart();
      await stack.ready();
    },
    stop,
  };
}
