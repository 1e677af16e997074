import { ACK, type PushConsumerOptions } from '../../lib/client/push-consumer.js';
import type { BenchContext } from '../context.js';
import { figure, timed, type Figure, type Round } from '../measure.js';
import { batchBody, WireLimit } from '../peers/wire-limit.js';
import { OURS, type Area } from '../report.js';

const BODY = Buffer.alloc(1024, 'x');

/** A backlog of 1 KiB messages consumed with an empty handler, each contender with a group of its own. */
export async function benchConsume(context: BenchContext): Promise<readonly Area[]> {
  const messages = context.plan.roundMs >= 1000 ? 200_000 : 40_000;
  const topic = await context.topic(4);
  context.progress(`filling a backlog of ${messages} messages`);
  await fill(context.brokerAddress, topic, messages);

  const rounds = new Map<string, Round[]>();
  const note = (name: string, round: Round): void =>
    void rounds.set(name, [...(rounds.get(name) ?? []), round]);
  for (let round = 0; round <= context.plan.rounds; round++) {
    context.progress(`consume, round ${round} of ${context.plan.rounds}`);
    const ours = await consume(context, topic, messages, `concurrent-${round}`, {});
    const orderly = await consume(context, topic, messages, `orderly-${round}`, { mode: 'orderly' });
    const java = await context.java.run(`consume ${topic} bench-java-${process.pid}-${round} ${messages}`);
    const wire = await pullAll(context.brokerAddress, topic, messages);
    if (round === 0) continue; // warm-up
    note(OURS, ours);
    note('ours, orderly', orderly);
    note('Java push consumer', java);
    note('wire limit (pull only)', wire);
  }
  const figures: Figure[] = [...rounds].map(([name, list]) => figure(name, list));
  return [
    {
      title: 'Consume, 1 KiB, empty handler',
      unit: 'messages/s',
      rows: [{ what: `${messages} messages in 4 queues`, figures, targets: { 'Java push consumer': 1 } }],
    },
  ];
}

async function fill(address: string, topic: string, messages: number): Promise<void> {
  const wire = await WireLimit.open(address);
  const packed = batchBody(BODY, 100);
  for (let sent = 0; sent < messages; sent += 1600) {
    await Promise.all(
      Array.from({ length: Math.min(16, (messages - sent) / 100) }, (_, i) =>
        wire.sendBatch(topic, i & 3, packed),
      ),
    );
  }
  wire.close();
}

async function consume(
  context: BenchContext,
  topic: string,
  messages: number,
  name: string,
  options: Partial<PushConsumerOptions>,
): Promise<Round> {
  let started = 0;
  let seen = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const consumer = context.client.createPushConsumer({
    group: `bench-${name}-${process.pid}`,
    subscriptions: [{ topic }],
    startFrom: 'first',
    ...options,
    handler: (batch) => {
      started ||= performance.now();
      seen += batch.length;
      if (seen >= messages) done();
      return Promise.resolve(ACK);
    },
  });
  const round = await timed(async () => {
    await consumer.start();
    await finished;
    return messages;
  });
  const elapsedMs = performance.now() - started;
  await consumer.close();
  return { ...round, elapsedMs };
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
