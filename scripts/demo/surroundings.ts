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
  /** Brokers before 5.0 have no timers: the delay level to use instead, about five seconds. */
  readonly delayLevel: number | undefined;
}

/** Five seconds in the broker's own configuration, and in the one of our stack. */
const USUAL_LEVEL = 2;
const STACK_LEVEL = 15;

/** A cluster named by the environment wins; in it the demo keeps apart by a namespace. Otherwise one of our own. */
export async function findCluster({ say }: Narrator, signal: AbortSignal): Promise<Running<Cluster>> {
  const named = process.env['ROCKETMQ_NAME_SERVER'];
  if (named) {
    const namespace = `demo-${randomBytes(5).toString('hex')}`;
    say(`RocketMQ: the cluster at ${named} (ROCKETMQ_NAME_SERVER), namespace ${namespace}`);
    const old = process.env['ROCKETMQ_VERSION']?.startsWith('4.') ?? false;
    const delayLevel = old ? Number(process.env['PAYMENT_WINDOW_LEVEL'] ?? USUAL_LEVEL) : undefined;
    return { value: { nameServer: named, namespace, delayLevel }, stop: () => Promise.resolve() };
  }
  say('RocketMQ: starting a name server and a broker');
  const stack = await startStack({ name: 'demo', signal, onProgress: (line) => say(`RocketMQ: ${line}`) });
  const stop = stopOnce(() => stack.stop());
  const delayLevel = stack.release.startsWith('4.') ? STACK_LEVEL : undefined;
  return { value: { nameServer: stack.nameServer, namespace: undefined, delayLevel }, stop };
}

/** An empty database: on the server DATABASE_URL names, or on one of our own. */
export async function findDatabase({ say }: Narrator): Promise<Running<{ readonly url: string }>> {
  const named = process.env['DATABASE_URL'];
  if (named) {
    const creating = createFreshDatabase(named);
    // Known from the beginning: an interruption may come between the creation and our hearing of it.
    const stop = stopOnce(() => creating.then((database) => database.drop()).catch(() => undefined));
    const { url } = await creating;
    say('PostgreSQL: a new database on the server of DATABASE_URL');
    return { value: { url }, stop };
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
