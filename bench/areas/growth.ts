import { setTimeout as delay } from 'node:timers/promises';
import type { BenchContext } from '../context.js';
import { consume } from '../consume-backlog.js';
import { fillTopic } from '../fill-topic.js';
import { startListeners } from '../many-listeners.js';
import { figure, figureOf, keepInFlight, timed, type Figure } from '../measure.js';
import { drain, fill, outboxOn } from '../outbox/backlog.js';
import { OURS, type Area, type Row } from '../report.js';
import { until } from '../until.js';

const KIB = 1024;

/** How cost grows with what an application has many of: a line per size, so that anything worse than linear shows. */
export async function benchGrowth(context: BenchContext): Promise<readonly Area[]> {
  const parts = {
    topics: byTopics,
    listeners: byListeners,
    queues: byQueues,
    'body size': byBodySize,
    lanes: byLanes,
    'pending rows': byPendingRows,
  };
  const areas: Area[] = [];
  for (const [name, measure] of Object.entries(parts))
    areas.push(...(await context.part(`growth ${name}`, () => measure(context))));
  return areas;
}

/** Sends to topics in turn. */
async function byTopics(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const producer = broker.client.createProducer({ group: 'bench-growth', compressAboveBytes: Infinity });
  await producer.start();
  const body = Buffer.alloc(KIB, 'x');
  const topics: string[] = [];
  const rows: Row[] = [];
  for (const count of plan.quick ? [1, 10, 50] : [1, 100, 1_000]) {
    progress(`sends to ${count} topics`);
    while (topics.length < count) topics.push(await broker.topic(4));
    // The first send to a topic asks for its route.
    for (const topic of topics) await producer.send({ topic, body });
    let next = 0;
    const round = await timed(() =>
      keepInFlight(64, plan.roundMs, () => producer.send({ topic: topics[next++ % count] as string, body })),
    );
    rows.push(row(`${count} topics`, figure(OURS, [round])));
  }
  await producer.close();
  return { title: 'Growth with topics: sends of 1 KiB to them in turn', unit: 'messages/s', rows };
}

/** What an application costs that waits for messages. */
async function byListeners(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const topics: string[] = [];
  const rows: Row[] = [];
  for (const count of plan.quick ? [1, 5] : [1, 10, 50, 200]) {
    progress(`${count} idle listeners`);
    while (topics.length < count) topics.push(await broker.topic(4));
    const { app, tookMs } = await startListeners(broker.nameServer, topics, 4);
    const cpu = await idleCpu(plan.quick ? 1_000 : 30_000);
    await app.close();
    rows.push(
      { what: `${count} listeners`, figures: [figureOf('start, ms', [tookMs])] },
      { what: '', figures: [figureOf('idle, ms of CPU per second', [cpu])] },
    );
  }
  return { title: 'Growth with listeners, a group and 4 queues each', unit: 'see the row', rows };
}

async function byQueues(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const messages = plan.quick ? 5_000 : 100_000;
  const rows: Row[] = [];
  for (const queues of plan.quick ? [4, 64] : [4, 16, 64, 256, 1_024]) {
    progress(`a backlog in ${queues} queues`);
    const topic = await broker.topic(queues);
    const filled = await fillTopic(broker.address, topic, messages, queues);
    const group = `bench-queues-${process.pid}-${queues}`;
    const limited = { group: `${group}-limited`, maxCachedBytes: 2 * KIB * KIB };
    rows.push({
      what: `${queues} queues`,
      figures: [
        figure(OURS, [await consume(broker, topic, filled, { group })]),
        figure('with at most 2 MiB in memory', [await consume(broker, topic, filled, limited)]),
      ],
    });
  }
  return {
    title: 'Growth with queues: a backlog of 1 KiB messages consumed, start included in the CPU',
    unit: 'messages/s',
    rows,
  };
}

async function byBodySize(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const rows: Row[] = [];
  for (const [what, size] of [
    ['128 B', 128],
    ['1 KiB', KIB],
    ['64 KiB', 64 * KIB],
    ['1 MiB', KIB * KIB],
  ] as const) {
    progress(`bodies of ${what} consumed`);
    const topic = await broker.topic(4);
    const bytes = (plan.quick ? 8 : 256) * KIB * KIB;
    const messages = Math.min(plan.quick ? 5_000 : 100_000, Math.floor(bytes / size));
    const filled = await fillTopic(broker.address, topic, messages, 4, size);
    const group = `bench-size-${process.pid}-${size}`;
    rows.push(row(what, figure(OURS, [await consume(broker, topic, filled, { group })])));
  }
  return { title: 'Growth with the size of the body: a backlog consumed', unit: 'messages/s', rows };
}

async function byLanes(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const [database] = await context.databases();
  const producer = broker.client.createProducer({ group: 'bench-growth', compressAboveBytes: Infinity });
  await producer.start();
  const count = plan.quick ? 2_000 : 50_000;
  const rows: Row[] = [];
  for (const lanes of plan.quick ? [1, 64] : [1, 16, 64, 256, 1_024]) {
    progress(`outbox with ${lanes} lanes`);
    const schema = await database?.create({ lanes });
    if (schema === undefined) break;
    const topic = await broker.topic();
    await fill(schema.dataSource, topic, count);
    const round = await drain(schema.dataSource, producer, count);
    const { relay } = outboxOn(schema.dataSource, producer);
    await relay.start();
    await until(() => relay.ownedLanes.length === lanes);
    const idle = await idleCpu(plan.quick ? 1_000 : 30_000);
    await relay.drain(5_000);
    await schema.drop();
    rows.push(row(`${lanes} lanes`, figure('drain, messages/s', [round])));
    rows.push({ what: '', figures: [figureOf('idle, ms of CPU per second', [idle])] });
  }
  await producer.close();
  return { title: 'Growth with lanes, PostgreSQL', unit: 'see the row', rows };
}

async function byPendingRows(context: BenchContext): Promise<Area> {
  const { plan, progress } = context;
  const broker = await context.broker();
  const [database] = await context.databases();
  const producer = broker.client.createProducer({ group: 'bench-growth', compressAboveBytes: Infinity });
  await producer.start();
  const rows: Row[] = [];
  for (const count of plan.quick ? [1_000, 10_000] : [10_000, 100_000, 1_000_000]) {
    progress(`outbox with ${count} rows pending`);
    const schema = await database?.create();
    if (schema === undefined) break;
    const topic = await broker.topic();
    await fill(schema.dataSource, topic, count);
    rows.push(
      row(
        `${count.toLocaleString('en-US')} rows`,
        figure(OURS, [await drain(schema.dataSource, producer, count)]),
      ),
    );
    await schema.drop();
  }
  await producer.close();
  return { title: 'Growth with pending rows, PostgreSQL: all of them drained', unit: 'messages/s', rows };
}

function row(what: string, measured: Figure): Row {
  return { what, figures: [measured] };
}

/** Milliseconds of CPU per second of a process that has nothing to do. */
async function idleCpu(durationMs: number): Promise<number> {
  const cpu = process.cpuUsage();
  await delay(durationMs);
  const used = process.cpuUsage(cpu);
  return (used.user + used.system) / durationMs;
}
