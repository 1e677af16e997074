import type { Producer } from '../../lib/client/producer.js';
import type { OutboxOptions } from '../../lib/outbox/outbox-options.js';
import type { BenchContext, Broker } from '../context.js';
import type { BenchDatabase, Schema } from '../databases.js';
import { figure, roundOf, timed, type Figure, type Round } from '../measure.js';
import { OURS, ratioTarget, type Area, type Row } from '../report.js';
import { drain, fill, hotKey, keyless, keys, laneSqlAlone, PAYLOAD, type KeyOf } from './backlog.js';
import { drainEvents, fillEvents, prepareStatusColumn } from './status-column.js';

const SINGLE = 'ours, single sends';
const SQL_ALONE = 'lane SQL alone';
const SEND_ALONE = 'sends alone';
const BATCH_ALONE = 'batches alone';
const LIMIT_SINGLE = 'limit, single sends';
const LIMIT_BATCH = 'limit, batches';
const STATUS_COLUMN = 'status column, save()';

/** Defaults of the outbox that decide how it sends. */
const IN_FLIGHT = 64;
const BATCH = 128;
const BATCHES_IN_FLIGHT = 4;

interface Surroundings {
  readonly schema: Schema;
  readonly broker: Broker;
  readonly producer: Producer;
}

type Step = readonly [name: string, run: () => Promise<Round>];

/**
 * How fast a backlog goes out. The limit is what the parts reach alone, one after the other, since they share the
 * cores: 1 / (1 / sends + 1 / lane SQL).
 */
export async function benchDrain(context: BenchContext, database: BenchDatabase): Promise<Area> {
  const broker = await context.broker();
  const producer = broker.client.createProducer({ group: 'bench-outbox', compressAboveBytes: Infinity });
  await producer.start();
  const schema = await database.create();
  await prepareStatusColumn(schema.dataSource);
  const surroundings = { schema, broker, producer };
  const rows = context.plan.quick ? 2_000 : database.name === 'PostgreSQL' ? 50_000 : 20_000;
  try {
    return {
      title: `Outbox on ${database.name}: a backlog drained, 500 B`,
      unit: 'messages/s',
      rows: [
        await drainKeyless(context, surroundings, rows),
        ...(await drainKeyed(context, surroundings, rows)),
      ],
      notes: [
        'The limit is 1 / (1 / sends + 1 / lane SQL), each measured alone in this run with what the relay does by default: 64 sends in flight, or 4 batches of 128. With fewer keys than that, as many in flight as there are keys.',
      ],
    };
  } finally {
    await schema.drop();
    await producer.close();
  }
}

async function drainKeyless(context: BenchContext, around: Surroundings, rows: number): Promise<Row> {
  const { schema, broker, producer } = around;
  const topic = await broker.topic();
  const ours = async (options: OutboxOptions): Promise<Round> => {
    await fill(schema.dataSource, topic, rows);
    return drain(schema.dataSource, producer, rows, options);
  };
  const steps: Step[] = [
    [OURS, () => ours({})],
    [SINGLE, () => ours({ batchSize: 1 })],
    ...aloneSteps(around, topic, rows, keyless, IN_FLIGHT),
    [BATCH_ALONE, () => batchesAlone(producer, topic, rows)],
  ];
  const few = Math.ceil(rows / 20);
  if (schema.type !== 'sqlite') {
    steps.push([
      STATUS_COLUMN,
      async () => {
        await fillEvents(schema.dataSource, topic, PAYLOAD, few);
        return timed(() => drainEvents(schema.dataSource, producer));
      },
    ]);
  }
  const figures = await measured(context, 'keyless', steps);
  figures.push(limit(LIMIT_SINGLE, figures, SEND_ALONE), limit(LIMIT_BATCH, figures, BATCH_ALONE));
  return {
    what: 'without ordering key',
    figures,
    targets: [
      ratioTarget(figures, SINGLE, LIMIT_SINGLE, { atLeast: 0.85 }),
      ratioTarget(figures, OURS, SINGLE, { atLeast: 2 }),
      ratioTarget(figures, OURS, STATUS_COLUMN, { atLeast: 20 }),
    ],
  };
}

async function drainKeyed(context: BenchContext, around: Surroundings, rows: number): Promise<Row[]> {
  const { schema, broker, producer } = around;
  const kinds: readonly (readonly [what: string, keyOf: KeyOf, inFlight: number, rows: number])[] = [
    ['1 key', keys(1), 1, Math.ceil(rows / 25)],
    ['10 keys', keys(10), 10, Math.ceil(rows / 5)],
    ['1,000 keys', keys(1_000), IN_FLIGHT, rows],
    ['100,000 keys', keys(100_000), IN_FLIGHT, rows],
    ['one hot key (a tenth), 1,000 others', hotKey, IN_FLIGHT, Math.ceil(rows / 5)],
  ];
  const result: Row[] = [];
  for (const [what, keyOf, inFlight, count] of kinds) {
    const topic = await broker.topic();
    const steps: Step[] = [
      [
        OURS,
        async () => {
          await fill(schema.dataSource, topic, count, keyOf);
          return drain(schema.dataSource, producer, count);
        },
      ],
      ...aloneSteps(around, topic, count, keyOf, inFlight),
    ];
    const figures = await measured(context, what, steps);
    figures.push(limit(LIMIT_SINGLE, figures, SEND_ALONE));
    const target = what === '1,000 keys' ? [ratioTarget(figures, OURS, LIMIT_SINGLE, { atLeast: 0.6 })] : [];
    result.push({ what, figures, targets: target });
  }
  return result;
}

/** What the relay's parts reach when the other does nothing. */
function aloneSteps(
  { schema, producer }: Surroundings,
  topic: string,
  rows: number,
  keyOf: KeyOf,
  inFlight: number,
): Step[] {
  return [
    [
      SQL_ALONE,
      async () => {
        await fill(schema.dataSource, topic, rows, keyOf);
        return laneSqlAlone(schema.dataSource, rows);
      },
    ],
    [SEND_ALONE, () => sendsAlone(producer, topic, rows, keyOf, inFlight)],
  ];
}

function sendsAlone(
  producer: Producer,
  topic: string,
  count: number,
  keyOf: KeyOf,
  inFlight: number,
): Promise<Round> {
  const body = Buffer.from(JSON.stringify(PAYLOAD));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await producer.send({ topic, body, orderingKey: keyOf(next++) });
  };
  return timed(async () => {
    await Promise.all(Array.from({ length: inFlight }, worker));
    return count;
  });
}

function batchesAlone(producer: Producer, topic: string, count: number): Promise<Round> {
  const body = Buffer.from(JSON.stringify(PAYLOAD));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const size = Math.min(BATCH, count - next);
      next += size;
      await producer.sendBatch(Array.from({ length: size }, () => ({ topic, body })));
    }
  };
  return timed(async () => {
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, worker));
    return count;
  });
}

/** A warm-up and the rounds, every step in each: A B A B. Each step empties a table: three rounds are long enough. */
async function measured(
  { plan, progress }: BenchContext,
  what: string,
  steps: readonly Step[],
): Promise<Figure[]> {
  const rounds = new Map<string, Round[]>(steps.map(([name]) => [name, []]));
  const last = Math.min(3, plan.rounds);
  for (let round = plan.quick ? 1 : 0; round <= last; round++) {
    progress(`drain, ${what}, round ${round} of ${last}`);
    for (const [name, run] of steps) {
      const result = round > 0 ? await roundOf(plan, name, run) : await run();
      if (round > 0) rounds.get(name)?.push(result);
    }
  }
  return [...rounds].map(([name, list]) => figure(name, list));
}

function limit(name: string, figures: readonly Figure[], send: string): Figure {
  const of = (wanted: string): Figure | undefined => figures.find((each) => each.name === wanted);
  const together = (a = NaN, b = NaN): number => 1 / (1 / a + 1 / b);
  const [sends, sql] = [of(send), of(SQL_ALONE)];
  return {
    name,
    median: together(sends?.median, sql?.median),
    low: together(sends?.low, sql?.low),
    high: together(sends?.high, sql?.high),
    cpuMicros: (sends?.cpuMicros ?? NaN) + (sql?.cpuMicros ?? NaN),
  };
}
