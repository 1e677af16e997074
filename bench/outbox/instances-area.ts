import { fileURLToPath } from 'node:url';
import { ACK } from '../../lib/client/push-consumer.js';
import { runInTransaction } from '../../lib/database/own-transaction.js';
import { OUTBOX_DEFAULTS, type OutboxOptions } from '../../lib/outbox/outbox-options.js';
import type { BenchContext, Broker } from '../context.js';
import type { BenchDatabase, Schema } from '../databases.js';
import { figure, figureOf, type Round } from '../measure.js';
import { PeerProcess } from '../peers/peer-process.js';
import { until } from '../until.js';
import { OURS, type Area, type Row } from '../report.js';
import { fill, outboxOn, PAYLOAD } from './backlog.js';

const LANES = 64;

/** A process with an outbox on the same tables. */
interface Instance {
  readonly process: PeerProcess;
  lanes: number;
  settled: number;
}

async function startInstance(broker: Broker, schema: Schema, options: OutboxOptions): Promise<Instance> {
  const state = { lanes: 0, settled: 0 };
  const program = fileURLToPath(new URL('./instance-program.ts', import.meta.url));
  const process_ = await PeerProcess.start(
    process.execPath,
    ['--import', 'tsx', program, schema.type, schema.url ?? '', broker.nameServer, JSON.stringify(options)],
    ([what, count]) => {
      if (what === 'lanes') state.lanes = Number(count);
      else state.settled += Number(count);
    },
  );
  return Object.assign(state, { process: process_ });
}

/** The same backlog with 1, 2 and 4 processes that have shared out the lanes before they begin. */
export async function benchInstances(context: BenchContext, database: BenchDatabase): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const count = plan.quick ? 2_000 : 50_000;
  const rounds = new Map<number, Round[]>([1, 2, 4].map((instances) => [instances, []]));
  const last = Math.min(3, plan.rounds);
  for (let round = 1; round <= last; round++) {
    for (const [instances, list] of rounds) {
      progress(`${instances} instances on ${database.name}, round ${round} of ${last}`);
      list.push(await drainTogether(broker, await database.create(), instances, count));
    }
  }
  return {
    title: `Outbox on ${database.name}: a backlog drained by several processes`,
    unit: 'messages/s',
    rows: [...rounds].map(([instances, list]) => ({
      what: instances === 1 ? '1 instance' : `${instances} instances`,
      figures: [figure(OURS, list)],
    })),
    notes: ['All processes, the database and the broker share the cores of this machine.'],
  };
}

async function drainTogether(broker: Broker, schema: Schema, count: number, rows: number): Promise<Round> {
  const instances: Instance[] = [];
  try {
    const topic = await broker.topic();
    await Promise.all(
      Array.from({ length: count }, async () => instances.push(await startInstance(broker, schema, {}))),
    );
    await until(() => instances.every(({ lanes }) => lanes === LANES / count));
    await fill(schema.dataSource, topic, rows);
    const started = performance.now();
    await Promise.all(instances.map(({ process: each }) => each.ask('go')));
    await until(() => instances.reduce((sum, { settled }) => sum + settled, 0) >= rows);
    return { operations: rows, elapsedMs: performance.now() - started };
  } finally {
    await Promise.all(instances.map(({ process: each }) => each.close()));
    await schema.drop();
  }
}

/**
 * One of two processes is killed (kill -9) in the middle of its work: how long until the other has all lanes, and
 * what arrived of everything that was committed.
 */
export async function benchTakeover(context: BenchContext, database: BenchDatabase): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const options: OutboxOptions = plan.quick
    ? { leaseMs: 3_600, renewMs: 800, surveyMs: 200, sendTimeoutMs: 1_500 }
    : {};
  const { leaseMs = OUTBOX_DEFAULTS.leaseMs } = options;
  const results: Takeover[] = [];
  for (let round = 0; round < Math.min(3, plan.rounds); round++) {
    progress(`takeover on ${database.name}, round ${round + 1}`);
    results.push(await takeOver(broker, await database.create(), options));
  }
  const { maxUnsettled, batchesInFlight, batchSize } = OUTBOX_DEFAULTS;
  const row = (what: string, value: (result: Takeover) => number, atMost: number): Row => {
    const measured = figureOf(OURS, results.map(value));
    return { what, figures: [measured], targets: [{ what: 'worst', value: measured.high, atMost }] };
  };
  const twice = row(
    'messages sent twice',
    (result) => result.twice,
    maxUnsettled + batchesInFlight * batchSize,
  );
  const typical = { what: 'median, one batch', value: twice.figures[0]?.median ?? NaN, atMost: batchSize };
  return {
    title: `Outbox on ${database.name}: an instance is killed, lease ${leaseMs / 1000} s`,
    unit: 'see the row',
    rows: [
      row('ms until the other has its lanes', ({ tookMs }) => tookMs, leaseMs + 1_000),
      row('messages lost', ({ lost }) => lost, 0),
      { ...twice, targets: [...(twice.targets ?? []), typical] },
    ],
    notes: [
      `A killed instance may leave what was acknowledged and not yet removed (\`maxUnsettled\`, ${maxUnsettled}) and what was in flight (${batchesInFlight} batches of ${batchSize}) to be sent twice: that is the bound. To come near one batch, set \`batchesInFlight\` to 1 and \`maxUnsettled\` to the size of a batch; the drain is slower then.`,
    ],
  };
}

interface Takeover {
  readonly tookMs: number;
  readonly lost: number;
  readonly twice: number;
}

async function takeOver(broker: Broker, schema: Schema, options: OutboxOptions): Promise<Takeover> {
  const topic = await broker.topic();
  const instances = await Promise.all([
    startInstance(broker, schema, options),
    startInstance(broker, schema, options),
  ]);
  const [doomed, heir] = instances;
  try {
    await Promise.all(instances.map(({ process: each }) => each.ask('go')));
    await until(() => doomed.lanes === LANES / 2 && heir.lanes === LANES / 2);
    const committed = new Set<string>();
    const stop = new AbortController();
    const { outbox } = outboxOn(schema.dataSource, {} as never, { relay: false });
    const writer = (async () => {
      while (!stop.signal.aborted) {
        const receipts = await runInTransaction(schema.dataSource, (tx) =>
          outbox.sendAll(
            tx,
            Array.from({ length: 20 }, () => ({ destination: topic, payload: PAYLOAD })),
          ),
        );
        for (const { messageId } of receipts) committed.add(messageId);
      }
    })();
    await until(() => doomed.settled > 200);
    const killedAt = performance.now();
    await doomed.process.close();
    await until(() => heir.lanes === LANES);
    const tookMs = performance.now() - killedAt;
    stop.abort();
    await writer;
    await until(async () => (await pendingRows(schema)) === 0);
    const arrived = await readAll(broker, topic);
    const distinct = new Set(arrived);
    const lost = [...committed].filter((id) => !distinct.has(id)).length;
    return { tookMs, lost, twice: arrived.length - distinct.size };
  } finally {
    await Promise.all(instances.map(({ process: each }) => each.close()));
    await schema.drop();
  }
}

async function pendingRows({ dataSource }: Schema): Promise<number> {
  const [row] = await dataSource.query<{ n: unknown }[]>('SELECT count(*) AS n FROM rmq_outbox');
  return Number(row?.n);
}

/** Ids of every message of the topic, in no order. */
async function readAll(broker: Broker, topic: string): Promise<readonly string[]> {
  const offsets = await broker.client.admin.offsets(topic);
  const total = [...offsets.values()].reduce((sum, { min, max }) => sum + max - min, 0);
  const ids: string[] = [];
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const consumer = broker.client.createPushConsumer({
    group: `${topic}-reader`,
    subscriptions: [{ topic }],
    startFrom: 'first',
    handler: (messages) => {
      for (const { messageId } of messages) ids.push(messageId);
      if (ids.length >= total) done();
      return Promise.resolve(ACK);
    },
  });
  await consumer.start();
  if (total > 0) await finished;
  await consumer.close();
  return ids;
}
