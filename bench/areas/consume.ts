import { ACK } from '../../lib/client/push-consumer.js';
import type { BenchContext, Broker } from '../context.js';
import {
  atRate,
  figure,
  figureOf,
  keepInFlight,
  missing,
  quantile,
  roundOf,
  timed,
  type Figure,
  type Round,
} from '../measure.js';
import type { PeerProcess } from '../peers/peer-process.js';
import { WireLimit } from '../peers/wire-limit.js';
import { consume } from '../consume-backlog.js';
import { fillTopic } from '../fill-topic.js';
import { OURS, ratioTarget, type Area, type Row } from '../report.js';

/** A backlog consumed with an empty handler, and the time from send to handler at half load. */
export async function benchConsume(context: BenchContext): Promise<readonly Area[]> {
  const broker = await context.broker();
  return [await backlog(context, broker), await endToEnd(context, broker)];
}

const ORDERLY = 'ours, orderly';
const JAVA_ORDERLY = 'Java, orderly';
const NODE = 'official Node client';

/** Each contender has a group of its own and reads the same messages. */
async function backlog(context: BenchContext, broker: Broker): Promise<Area> {
  const { plan } = context;
  const messages = plan.quick ? 20_000 : 200_000;
  const topic = await broker.topic(4);
  context.progress(`filling a backlog of ${messages} messages`);
  await fillTopic(broker.address, topic, messages);
  const [java, node] = [await context.java(), await context.nodeClient()];

  const rounds = new Map<string, Round[]>();
  for (let round = 0; round <= plan.rounds; round++) {
    context.progress(`consume, round ${round} of ${plan.rounds}`);
    const group = (name: string): string => `bench-${name}-${process.pid}-${round}`;
    const measured: [string, Round][] = [
      [OURS, await roundOf(plan, OURS, () => consume(broker, topic, messages, { group: group('ours') }))],
      [ORDERLY, await consume(broker, topic, messages, { group: group('orderly'), mode: 'orderly' })],
      ['Java push consumer', await java.run(`consume ${topic} ${group('java')} ${messages}`)],
      [JAVA_ORDERLY, await java.run(`orderly ${topic} ${group('java-orderly')} ${messages}`)],
      ['wire limit (pull only)', await pullAll(broker.address, topic, messages)],
    ];
    if (typeof node !== 'string')
      measured.push([NODE, await consumeByNode(node, topic, group('node'), messages)]);
    if (round === 0) continue; // warm-up
    for (const [name, one] of measured) rounds.set(name, [...(rounds.get(name) ?? []), one]);
  }
  const figures: Figure[] = [...rounds].map(([name, list]) => figure(name, list));
  if (typeof node === 'string') figures.push(missing(NODE, node));
  return {
    title: 'Consume, 1 KiB, empty handler',
    unit: 'messages/s',
    rows: [
      {
        what: `${messages.toLocaleString('en-US')} messages in 4 queues`,
        figures,
        targets: [
          ratioTarget(figures, OURS, 'Java push consumer', { atLeast: 1 }),
          ratioTarget(figures, OURS, NODE, { atLeast: 30 }),
          ratioTarget(figures, ORDERLY, OURS, { atLeast: 0.5 }),
        ],
      },
    ],
    notes: [`The official Node client reads a twentieth of the messages; it would need minutes for all.`],
  };
}

async function consumeByNode(
  node: PeerProcess,
  topic: string,
  group: string,
  messages: number,
): Promise<Round> {
  return node.run(`consume ${topic} ${group} ${Math.ceil(messages / 20)}`);
}

async function pullAll(address: string, topic: string, messages: number): Promise<Round> {
  const wire = await WireLimit.open(address);
  const perQueue = messages / 4;
  const round = await timed(async () => {
    await Promise.all(
      [0, 1, 2, 3].map(async (queueId) => {
        for (let offset = 0; offset < perQueue;)
          offset += countMessages(await wire.pull('bench-wire', topic, queueId, offset));
      }),
    );
    return messages;
  });
  wire.close();
  return round;
}

function countMessages(body: Buffer): number {
  let count = 0;
  for (let position = 0; position < body.length; position += body.readInt32BE(position)) count++;
  return count;
}

const PERCENTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;

/** Half of what our producer and consumer carry together, so that nothing queues up; Java gets the same rate. */
async function endToEnd(context: BenchContext, broker: Broker): Promise<Area> {
  const { plan } = context;
  const java = await context.java();
  const producer = broker.client.createProducer({ group: 'bench-latency', compressAboveBytes: Infinity });
  await producer.start();
  const body = Buffer.alloc(1024, 'x');
  const capacity = await timed(async () => {
    const topic = await broker.topic();
    return keepInFlight(64, plan.warmUpMs, () => producer.send({ topic, body }));
  });
  // Producer, broker and consumer share the cores: half of both together is a quarter of sending alone.
  const perSecond = Math.max(200, Math.floor((capacity.operations / capacity.elapsedMs) * 250));
  const durationMs = plan.roundMs * 2;
  const values = new Map<string, number[][]>();
  for (let round = 0; round <= plan.rounds; round++) {
    context.progress(`end to end at ${perSecond}/s, round ${round} of ${plan.rounds}`);
    const ours = await latencies(broker, producer.send.bind(producer), perSecond, durationMs, round);
    const answer = await java.ask(
      `latency ${await broker.topic()} bench-latency-java-${process.pid}-${round} ${perSecond} ${durationMs} 1024`,
    );
    if (round === 0) continue; // warm-up
    const note = (name: string, percentiles: number[]): void =>
      void values.set(name, [...(values.get(name) ?? []), percentiles]);
    note(
      OURS,
      PERCENTILES.map(([, share]) => quantile(ours, share)),
    );
    note('Java client', answer.map(Number));
  }
  await producer.close();
  const rows: Row[] = PERCENTILES.map(([what], index) => ({
    what,
    figures: [...values].map(([name, rounds]) =>
      figureOf(
        name,
        rounds.map((percentiles) => percentiles[index] ?? NaN),
      ),
    ),
  }));
  return {
    title: `End to end at ${perSecond.toLocaleString('en-US')} messages/s: from the call of send to the handler, 1 KiB`,
    unit: 'ms',
    rows,
  };
}

async function latencies(
  broker: Broker,
  send: (message: { topic: string; body: Buffer }) => Promise<unknown>,
  perSecond: number,
  durationMs: number,
  round: number,
): Promise<readonly number[]> {
  const topic = await broker.topic();
  const took: number[] = [];
  const total = Math.max(1, Math.floor((perSecond * durationMs) / 1000));
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const consumer = broker.client.createPushConsumer({
    group: `bench-latency-${process.pid}-${round}`,
    subscriptions: [{ topic }],
    startFrom: 'first',
    handler: ([message]) => {
      if (message !== undefined) took.push(performance.now() - message.body.readDoubleBE(0));
      if (took.length >= total) done();
      return Promise.resolve(ACK);
    },
  });
  await consumer.start();
  await consumer.whenAssigned();
  await atRate(perSecond, durationMs, () => {
    const body = Buffer.alloc(1024);
    body.writeDoubleBE(performance.now(), 0);
    return send({ topic, body });
  });
  await finished;
  await consumer.close();
  return took;
}
