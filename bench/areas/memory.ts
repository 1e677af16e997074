import { MESSAGE_OVERHEAD_BYTES } from '../../lib/client/consumer/process-queue.js';
import { ACK } from '../../lib/client/push-consumer.js';
import type { BenchContext, Broker } from '../context.js';
import { fillTopic } from '../fill-topic.js';
import { bytesInUse } from '../heap.js';
import { figureOf } from '../measure.js';
import { OURS, type Area, type Row } from '../report.js';
import { until } from '../until.js';

const MIB = 1024 * 1024;
const QUEUES = 4;
const PULL = 32 * (1024 + MESSAGE_OVERHEAD_BYTES);
/** Nothing more came in for so long: what may be held is held. */
const QUIET_MS = 2_000;

/** Messages that were pulled and are not handled: what they take of the memory, against what was configured. */
export async function benchMemory(context: BenchContext): Promise<readonly Area[]> {
  const broker = await context.broker();
  const messages = context.plan.quick ? 20_000 : 100_000;
  const topic = await broker.topic(QUEUES);
  context.progress(`filling a backlog of ${messages} messages`);
  await fillTopic(broker.address, topic, messages, QUEUES);
  const rows: Row[] = [];
  for (const limitMiB of [256, 64, 16]) {
    context.progress(`prefetching with at most ${limitMiB} MiB`);
    const held = await prefetch(broker, topic, messages, limitMiB * MIB);
    const counted = figureOf('counted', [held.bytes / MIB]);
    const growth = figureOf(OURS, [held.growth / MIB]);
    rows.push({
      what: `at most ${limitMiB} MiB: ${held.messages.toLocaleString('en-US')} messages held`,
      figures: [growth, counted],
      // A queue that holds nothing may always pull once.
      targets: [
        { what: 'growth of the process', value: growth.median, atMost: limitMiB + (QUEUES * PULL) / MIB },
      ],
    });
  }
  return [
    {
      title: `Memory: a backlog of ${messages.toLocaleString('en-US')} messages of 1 KiB, handlers that do not end`,
      unit: 'MiB',
      rows,
      notes: [
        'The limit (`maxCachedBytes`) is over all queues of a consumer and counts bodies and 1,400 bytes for each message. What is to stay within it is the growth of the process, after a full collection.',
      ],
    },
  ];
}

interface Held {
  readonly messages: number;
  readonly bytes: number;
  readonly growth: number;
}

async function prefetch(
  broker: Broker,
  topic: string,
  messages: number,
  maxCachedBytes: number,
): Promise<Held> {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const before = bytesInUse();
  const consumer = broker.client.createPushConsumer({
    group: `bench-memory-${process.pid}-${maxCachedBytes}`,
    subscriptions: [{ topic }],
    startFrom: 'first',
    maxCachedMessages: messages,
    maxOffsetSpan: messages,
    maxCachedBytes,
    handler: () => released.then(() => ACK),
  });
  await consumer.start();
  let last = 0;
  let changedAt = performance.now();
  await until(() => {
    const { messages: cached } = consumer.cached();
    if (cached !== last) changedAt = performance.now();
    last = cached;
    return cached >= messages || (cached > 0 && performance.now() - changedAt > QUIET_MS);
  });
  const growth = bytesInUse() - before;
  const held = { ...consumer.cached(), growth };
  release();
  await consumer.close(1_000);
  return held;
}
