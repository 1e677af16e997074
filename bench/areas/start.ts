import type { BenchContext } from '../context.js';
import { startListeners } from '../many-listeners.js';
import { figureOf } from '../measure.js';
import { OURS, type Area } from '../report.js';

const LISTENERS = 50;
const QUEUES = 4;

/** An application with 50 listeners, from its first line to the last queue; the broker is up. */
export async function benchStart(context: BenchContext): Promise<readonly Area[]> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const topics: string[] = [];
  for (let index = 0; index < LISTENERS; index++) topics.push(await broker.topic(QUEUES));
  const took: number[] = [];
  for (let round = plan.quick ? 1 : 0; round <= plan.rounds; round++) {
    progress(`start of ${LISTENERS} listeners, round ${round} of ${plan.rounds}`);
    const { app, tookMs } = await startListeners(broker.nameServer, topics, QUEUES);
    if (round > 0) took.push(tookMs);
    await app.close();
  }
  const measured = figureOf(OURS, took);
  return [
    {
      title: 'Start of an application, until every queue is assigned',
      unit: 'ms',
      rows: [
        {
          what: `${LISTENERS} listeners in ${LISTENERS} groups, ${QUEUES} queues each`,
          figures: [measured],
          targets: [{ what: 'median', value: measured.median, atMost: 2_000 }],
        },
      ],
      notes: ['Modules are loaded already: what Node needs to read files is not in it.'],
    },
  ];
}
