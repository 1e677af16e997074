/**
 * Runs the sample application on a real RocketMQ and a real PostgreSQL, places orders, and shows what became of them.
 *
 *   npm run demo               places the orders, prints their stories, checks the books, stops everything
 *   npm run demo -- --serve    keeps it running and says where
 *
 * ROCKETMQ_NAME_SERVER and DATABASE_URL name a cluster and a server to use instead of starting some.
 */
import { checkBooks, settle } from './demo/books.js';
import { Narrator } from './demo/narrator.js';
import { buildSampleApp } from './demo/sample-build.js';
import { SampleAppProcess } from './demo/sample-app-process.js';
import { playScenario, tryNonsense } from './demo/scenario.js';
import { Shop } from './demo/shop.js';
import { findCluster, findDatabase, stopOnce, type Cluster, type Running } from './demo/surroundings.js';
import { printTimeline } from './demo/timeline.js';
import { Wiretap } from './demo/wiretap.js';
import { shutdownSignal } from './stack/shutdown.js';

const OPERATOR_KEY = 'demo';
/** Short, to see an order cancelled; long enough for a busy machine to have the others paid. */
const PAYMENT_WINDOW_MS = 5_000;
const SERVE_PAYMENT_WINDOW_MS = 60_000;
const narrator = new Narrator();
const signal = shutdownSignal();
const stops: (() => Promise<unknown>)[] = [];

interface Surroundings {
  readonly cluster: Cluster;
  readonly databaseUrl: string;
}

/** Starts everything at the same time. The first failure ends the rest; what was started by then is stopped. */
async function prepare(): Promise<Surroundings> {
  const failure = new AbortController();
  const go = AbortSignal.any([signal, failure.signal]);
  const together = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  const keep = <T>(running: Running<T>): T => {
    stops.push(running.stop);
    return running.value;
  };
  const build = buildSampleApp(go).then((built) => {
    narrator.say(built ? 'sample application: built' : 'sample application: the build is fresh');
  });
  const results = await Promise.allSettled([
    together(findCluster(narrator, go).then(keep)),
    together(findDatabase(narrator).then(keep)),
    together(build),
  ] as const);
  const [cluster, database] = results;
  if (failure.signal.aborted) throw failure.signal.reason;
  if (cluster.status === 'rejected') throw cluster.reason;
  if (database.status === 'rejected') throw database.reason;
  return { cluster: cluster.value, databaseUrl: database.value.url };
}

async function startApplication(
  { cluster, databaseUrl }: Surroundings,
  paymentWindowMs: number,
): Promise<SampleAppProcess> {
  const app = await SampleAppProcess.start({
    name: 'demo',
    databaseUrl,
    nameServer: cluster.nameServer,
    ...(cluster.namespace !== undefined && { namespace: cluster.namespace }),
    paymentWindow: cluster.delayLevel === undefined ? paymentWindowMs : { level: cluster.delayLevel },
    operatorKey: OPERATOR_KEY,
    signal,
  });
  stops.push(stopOnce(() => app.stop()));
  narrator.say(`sample application: ready at ${app.url} (log: ${app.logFile})`);
  return app;
}

async function demonstrate(shop: Shop, { cluster, databaseUrl }: Surroundings): Promise<void> {
  const wiretap = await Wiretap.start(cluster.nameServer, cluster.namespace);
  stops.push(stopOnce(() => wiretap.close()));
  for (const line of await tryNonsense(shop)) narrator.say(`refused: ${line}`);
  const played = await playScenario(shop, wiretap, narrator);
  const settled = await settle(shop, databaseUrl, played);
  for (const entry of played.cases) await printTimeline(entry, shop, wiretap, narrator);
  narrator.heading('The books');
  const wrong = await checkBooks(shop, played, settled, narrator);
  narrator.print();
  if (wrong.length > 0) throw new Error(`The books are wrong:\n  ${wrong.join('\n  ')}`);
}

async function keepServing({ url, logFile }: SampleAppProcess, { delayLevel }: Cluster): Promise<void> {
  const window =
    delayLevel === undefined
      ? `${SERVE_PAYMENT_WINDOW_MS / 1000} seconds`
      : `delay level ${delayLevel} of the broker`;
  narrator.print(`
The shop is open at ${url}. An order is cancelled when it is not paid within ${window}.

  curl -s ${url}/inventory
  curl -s ${url}/orders -H 'content-type: application/json' -d '{"product":"keyboard","quantity":2}'
  curl -s ${url}/orders
  curl -s ${url}/orders/<id>
  curl -s -X POST ${url}/orders/<id>/pay
  curl -s ${url}/health
  curl -s ${url}/metrics
  curl -s ${url}/operations/messaging -H 'x-operator-key: ${OPERATOR_KEY}'
  curl -s ${url}/operations/dead-letters/inventory -H 'x-operator-key: ${OPERATOR_KEY}'

The API is described at ${url}/docs (OpenAPI: ${url}/docs/json).
OTEL_TRACES_EXPORTER=console in front of the command writes the traces into the log: ${logFile}

Ctrl-C stops everything.`);
  await new Promise<void>((resolve) => {
    // A pending promise alone would not keep the process alive.
    const keepAlive = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => (clearInterval(keepAlive), resolve()), { once: true });
  });
}

async function stopEverything(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    await stop().catch((error: unknown) => {
      process.exitCode = 1;
      console.error(`While stopping: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
}

const serve = process.argv.includes('--serve');
let app: SampleAppProcess | undefined;
try {
  const surroundings = await prepare();
  app = await startApplication(surroundings, PAYMENT_WINDOW_MS);
  await demonstrate(new Shop(app.url, OPERATOR_KEY), surroundings);
  if (serve) {
    // Customers of flesh and blood get more time to pay.
    await app.stop();
    app = await startApplication(surroundings, SERVE_PAYMENT_WINDOW_MS);
    await keepServing(app, surroundings.cluster);
  }
  await stopEverything();
  narrator.say('everything is stopped');
} catch (error) {
  // When interrupted, the shutdown handlers are at work already, and end the process.
  if (!signal.aborted) {
    process.exitCode = 1;
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    if (app) console.error(`\nThe last lines of the application:\n${app.tail(20)}`);
    await stopEverything();
  }
}
