import { randomBytes } from 'node:crypto';
import { startPostgres } from '../stack/postgres.js';
import { onShutdown } from '../stack/shutdown.js';
import { startStack } from '../stack/stack.js';
import { createFreshDatabase } from './fresh-database.js';
import type { Narrator } from './narrator.js';

/** Something that runs, and how it is stopped. */
export interface Running<T> {
  readonly value: T;
  readonly stop: () => Promise<unknown>;
}

export interface Cluster {
  readonly nameServer: string;
  readonly namespace: string | undefined;
}

/** A cluster named by the environment wins; in it the demo keeps apart by a namespace. Otherwise one of our own. */
export async function findCluster({ say }: Narrator, signal: AbortSignal): Promise<Running<Cluster>> {
  const named = process.env['ROCKETMQ_NAME_SERVER'];
  if (named) {
    const namespace = `demo-${randomBytes(5).toString('hex')}`;
    say(`RocketMQ: the cluster at ${named} (ROCKETMQ_NAME_SERVER), namespace ${namespace}`);
    return { value: { nameServer: named, namespace }, stop: () => Promise.resolve() };
  }
  say('RocketMQ: starting a name server and a broker');
  const stack = await startStack({ name: 'demo', signal, onProgress: (line) => say(`RocketMQ: ${line}`) });
  const stop = stopOnce(() => stack.stop());
  return { value: { nameServer: stack.nameServer, namespace: undefined }, stop };
}

/** An empty database: on the server DATABASE_URL names, or on one of our own. */
export async function findDatabase({ say }: Narrator): Promise<Running<{ readonly url: string }>> {
  const named = process.env['DATABASE_URL'];
  if (named) {
    const database = await createFreshDatabase(named);
    say(`PostgreSQL: a new database on the server of DATABASE_URL`);
    return { value: { url: database.url }, stop: stopOnce(() => database.drop()) };
  }
  say('PostgreSQL: starting a server');
  const postgres = await startPostgres({ name: 'demo', onProgress: (line) => say(`PostgreSQL: ${line}`) });
  say(`PostgreSQL: ready at 127.0.0.1:${postgres.port}`);
  return { value: { url: postgres.url }, stop: stopOnce(() => postgres.stop()) };
}

/** Stops it when asked to, or when the process is interrupted; not twice. */
export function stopOnce(work: () => Promise<unknown>): () => Promise<unknown> {
  let done: Promise<unknown> | undefined;
  const stop = (): Promise<unknown> => (done ??= work());
  const forget = onShutdown(stop);
  return async () => {
    await stop();
    forget();
  };
}
