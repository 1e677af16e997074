import { runInTransaction } from '../../lib/database/own-transaction.js';
import type { BenchContext } from '../context.js';
import type { BenchDatabase } from '../databases.js';
import { atRate, figureOf, keepInFlight, quantile, timed } from '../measure.js';
import { OURS, differenceTarget, type Area } from '../report.js';
import { until } from '../until.js';
import { outboxOn, PAYLOAD } from './backlog.js';
import { listened } from './gated-producer.js';

const RAW = 'send, no database';
const KEYED = 'ours, 1,000 ordering keys';
const PERCENTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;
/** Transactions at a time when the load that is possible is looked for. */
const WRITERS = 16;

/** From the end of the commit to the broker's acknowledgement, at half of the load that is possible. */
export async function benchSteadyState(context: BenchContext, database: BenchDatabase): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const real = broker.client.createProducer({ group: 'bench-outbox', compressAboveBytes: Infinity });
  await real.start();
  const schema = await database.create();
  const { dataSource } = schema;
  const topic = await broker.topic();

  const waiting = new Map<string, (at: number) => void>();
  const producer = listened(real, ({ messageId = '' }) => {
    waiting.get(messageId)?.(performance.now());
    waiting.delete(messageId);
  });
  const { outbox, relay } = outboxOn(dataSource, producer);
  await relay.start();
  await until(() => relay.ownedLanes.length > 0);

  let sequence = 0;
  /** Resolves with the time from the end of the commit to the acknowledgement. */
  const commit = async (keyed: boolean): Promise<number> => {
    let acknowledged: (at: number) => void = () => undefined;
    const at = new Promise<number>((resolve) => (acknowledged = resolve));
    const orderingKey = keyed ? `key-${sequence++ % 1_000}` : undefined;
    await runInTransaction(dataSource, async (tx) => {
      const receipt = await outbox.send(tx, topic, PAYLOAD, orderingKey === undefined ? {} : { orderingKey });
      waiting.set(receipt.messageId, acknowledged);
    });
    const committedAt = performance.now();
    // What went out from memory may be acknowledged before the caller of the transaction runs on.
    return Math.max(0, (await at) - committedAt);
  };
  const body = Buffer.from(JSON.stringify(PAYLOAD));
  try {
    const capacity = await timed(() => keepInFlight(WRITERS, plan.warmUpMs, () => commit(false)));
    const perSecond = Math.max(50, Math.floor((capacity.operations / capacity.elapsedMs) * 500));
    const values = new Map<string, number[][]>();
    // Round 0 warms up.
    for (let round = 0; round <= plan.rounds; round++) {
      progress(`commit to acknowledgement at ${perSecond}/s, round ${round} of ${plan.rounds}`);
      for (const [name, call] of [
        [OURS, () => commit(false)],
        [KEYED, () => commit(true)],
      ] as const) {
        const took: number[] = [];
        await atRate(perSecond, plan.roundMs * 2, async () => took.push(await call()));
        if (round > 0) values.set(name, [...(values.get(name) ?? []), took]);
      }
      const raw: number[] = [];
      await atRate(perSecond, plan.roundMs * 2, async () => {
        const started = performance.now();
        await real.send({ topic, body });
        raw.push(performance.now() - started);
      });
      if (round > 0) values.set(RAW, [...(values.get(RAW) ?? []), raw]);
    }
    return {
      title: `Outbox on ${database.name}: from commit to the broker's acknowledgement, ${perSecond.toLocaleString('en-US')} transactions/s`,
      unit: 'ms',
      rows: PERCENTILES.map(([what, share]) => {
        const figures = [...values].map(([name, rounds]) =>
          figureOf(
            name,
            rounds.map((took) => quantile(took, share)),
          ),
        );
        return { what, figures, targets: what === 'p99' ? [differenceTarget(figures, OURS, RAW, 15)] : [] };
      }),
    };
  } finally {
    await relay.drain(5_000);
    await schema.drop();
    await real.close();
  }
}
