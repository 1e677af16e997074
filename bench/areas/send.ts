import type { Producer } from '../../lib/client/producer.js';
import type { BenchContext, Broker } from '../context.js';
import {
  interleave,
  keepInFlight,
  missing,
  timed,
  type Contender,
  type Figure,
  type Plan,
} from '../measure.js';
import type { PeerProcess } from '../peers/peer-process.js';
import { batchBody, WireLimit } from '../peers/wire-limit.js';
import { OURS, ratioTarget, type Area, type Row } from '../report.js';

const KIB = 1024;
const BATCH = 32;

interface Senders {
  readonly broker: Broker;
  readonly producer: Producer;
  readonly wire: WireLimit;
  readonly java: PeerProcess;
  readonly node: PeerProcess | string;
  readonly plan: Plan;
  readonly progress: (line: string) => void;
}

/** Sends, one-way sends and batches, compression off, against the wire limit, the Java and the official Node client. */
export async function benchSend(context: BenchContext): Promise<readonly Area[]> {
  const broker = await context.broker();
  const producer = broker.client.createProducer({ group: 'bench', compressAboveBytes: Infinity });
  await producer.start();
  const wire = await WireLimit.open(broker.address);
  const [java, node] = [await context.java(), await context.nodeClient()];
  const { plan, progress } = context;
  const senders: Senders = { broker, producer, wire, java, node, plan, progress };
  try {
    return [
      { title: 'Send, 1 KiB, by messages in flight', unit: 'messages/s', rows: await singles(senders) },
      { title: 'Send in batches of 32, 1 KiB', unit: 'messages/s', rows: await batches(senders) },
      {
        title: 'Send one-way, 1 KiB',
        unit: 'messages/s',
        rows: await oneWay(senders),
        notes: ['Nobody hears whether a one-way message was stored; the rate is that of handing over.'],
      },
      { title: 'Send by size of the body, 16 in flight', unit: 'messages/s', rows: await sizes(senders) },
    ];
  } finally {
    wire.close();
    await producer.close();
  }
}

async function singles(senders: Senders): Promise<Row[]> {
  const rows: Row[] = [];
  for (const inFlight of [1, 16, 64, 256]) {
    senders.progress(`send, ${inFlight} in flight`);
    const figures = await sending(senders, inFlight, KIB, senders.plan, true);
    rows.push({
      what: `${inFlight} in flight`,
      figures,
      targets: [
        ratioTarget(figures, OURS, 'wire limit', { atLeast: 0.7 }),
        inFlight >= 16 ? ratioTarget(figures, OURS, 'Java, sync send', { atLeast: 2 }) : undefined,
        ratioTarget(figures, OURS, 'official Node client', { atLeast: 10 }),
      ],
    });
  }
  return rows;
}

async function sizes(senders: Senders): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, size] of [
    ['128 B', 128],
    ['1 KiB', KIB],
    ['64 KiB', 64 * KIB],
    ['1 MiB', KIB * KIB],
  ] as const) {
    senders.progress(`send, bodies of ${what}`);
    // A broker writes what it gets: shorter rounds for large bodies keep the disk from filling.
    const { plan } = senders;
    const roundMs = size > KIB ? Math.min(plan.roundMs, 500) : plan.roundMs;
    const figures = await sending(senders, 16, size, { ...plan, roundMs, warmUpMs: roundMs }, false);
    rows.push({ what, figures });
  }
  return rows;
}

/** Single sends of everybody. */
async function sending(
  { broker, producer, wire, java, node }: Senders,
  inFlight: number,
  size: number,
  plan: Plan,
  withNode: boolean,
): Promise<readonly Figure[]> {
  const topic = await broker.topic();
  const body = Buffer.alloc(size, 'x');
  let queue = 0;
  const contenders: Contender[] = [
    {
      name: OURS,
      round: (ms) => timed(() => keepInFlight(inFlight, ms, () => producer.send({ topic, body }))),
    },
    {
      name: 'wire limit',
      round: (ms) => timed(() => keepInFlight(inFlight, ms, () => wire.send(topic, queue++ & 3, body))),
    },
    { name: 'Java, sync send', round: (ms) => java.run(`send ${topic} ${inFlight} ${ms} ${size}`) },
  ];
  if (!withNode) return interleave(contenders, plan);
  const name = 'official Node client';
  if (typeof node === 'string') return [...(await interleave(contenders, plan)), missing(name, node)];
  contenders.push({ name, round: (ms) => node.run(`send ${topic} ${inFlight} ${ms} ${size}`) });
  return interleave(contenders, plan);
}

async function oneWay({ broker, producer, java, plan, progress }: Senders): Promise<Row[]> {
  progress('send one-way');
  const topic = await broker.topic();
  const body = Buffer.alloc(KIB, 'x');
  const contenders: Contender[] = [
    {
      name: OURS,
      round: (ms) => timed(() => keepInFlight(16, ms, () => producer.sendOneWay({ topic, body }))),
    },
    { name: 'Java, one-way', round: (ms) => java.run(`oneway ${topic} 16 ${ms} ${KIB}`) },
  ];
  return [{ what: '16 callers', figures: await interleave(contenders, plan) }];
}

async function batches({ broker, producer, wire, java, plan, progress }: Senders): Promise<Row[]> {
  const rows: Row[] = [];
  const body = Buffer.alloc(KIB, 'x');
  const packed = batchBody(body, BATCH);
  for (const inFlight of [1, 4, 16]) {
    progress(`batches of ${BATCH}, ${inFlight} in flight`);
    const topic = await broker.topic();
    const messages = Array.from({ length: BATCH }, () => ({ topic, body }));
    let queue = 0;
    const inBatches = (ms: number, call: () => Promise<unknown>): ReturnType<Contender['round']> =>
      timed(async () => (await keepInFlight(inFlight, ms, call)) * BATCH);
    const contenders: Contender[] = [
      { name: OURS, round: (ms) => inBatches(ms, () => producer.sendBatch(messages)) },
      { name: 'wire limit', round: (ms) => inBatches(ms, () => wire.sendBatch(topic, queue++ & 3, packed)) },
      { name: 'Java, batch', round: (ms) => java.run(`batch ${topic} ${inFlight} ${ms} ${KIB} ${BATCH}`) },
    ];
    const figures = await interleave(contenders, plan);
    rows.push({
      what: `${inFlight} in flight`,
      figures,
      targets: [
        ratioTarget(figures, OURS, 'wire limit', { atLeast: 0.7 }),
        ratioTarget(figures, OURS, 'Java, batch', { atLeast: 1.2 }),
      ],
    });
  }
  return rows;
}
