import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createRocketMQClient } from '../../lib/client/client-factory.js';
import type { Producer } from '../../lib/client/producer.js';
import { ACK } from '../../lib/client/push-consumer.js';

export interface MemoryOptions {
  readonly nameServer: string;
  readonly minutes: number;
  /** Messages per second. @default half of what producer, broker and consumer carry together on this machine */
  readonly rate: number | undefined;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
}

interface Sample {
  readonly seconds: number;
  /** Bytes in use after a full collection. */
  readonly bytes: number;
}

const QUEUES = 8;
/** Compiled code and caches grow at first; what is compared comes after this share of the time. */
const WARM_UP = 0.2;
const SAMPLES = 60;
/** Larger growth from the first fifth to the last is a leak: of the heap, and at least in bytes. */
const ALLOWED_SHARE = 0.1;
const ALLOWED_BYTES = 4 * 1024 * 1024;
const MIB = 1024 * 1024;
const BODY = Buffer.alloc(1024, 'x');
const TICK_MS = 20;
const CALIBRATION_MS = 5_000;

/**
 * Producer and consumer at a steady rate in this process: memory ends where it began.
 *
 * @returns whether it did
 */
export async function memory(options: MemoryOptions): Promise<boolean> {
  const { nameServer, minutes, signal, print } = options;
  const topic = `soak-memory-${randomBytes(4).toString('hex')}`;
  const client = createRocketMQClient({ nameServer });
  const enough = new AbortController();
  signal.addEventListener('abort', () => enough.abort(), { once: true });
  const counts: Counts = { sent: 0, failed: 0, handled: 0 };
  const samples: Sample[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    await client.start();
    await client.admin.createTopic(topic, { queues: QUEUES });
    const producer = client.createProducer({ group: `${topic}-load`, sendTimeoutMs: 20_000 });
    await producer.start();
    const rate = options.rate ?? (await halfLoad(producer, topic));
    print(`${rate} messages per second for ${minutes} minutes`);
    const consumer = client.createPushConsumer({
      group: topic,
      subscriptions: [{ topic }],
      handler: (messages) => {
        counts.handled += messages.length;
        return Promise.resolve(ACK);
      },
    });
    await consumer.start();
    timer = setTimeout(() => enough.abort(), minutes * 60_000);
    await Promise.all([
      send(producer, topic, rate, counts, enough.signal),
      sample(samples, minutes, counts, enough.signal, print),
    ]);
  } finally {
    clearTimeout(timer);
    enough.abort();
    await client.close();
  }
  return judge(samples, print);
}

/** Nothing else is remembered of a message: what a load keeps would look like a leak. */
interface Counts {
  sent: number;
  failed: number;
  handled: number;
}

/** Producer, broker and consumer share the cores: half of what they carry is a quarter of sending alone. */
async function halfLoad(producer: Producer, topic: string): Promise<number> {
  const end = performance.now() + CALIBRATION_MS;
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await producer.send({ topic, body: BODY });
      sent++;
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  return Math.max(1, Math.floor((sent * 250) / CALIBRATION_MS));
}

async function send(
  producer: Producer,
  topic: string,
  rate: number,
  counts: Counts,
  over: AbortSignal,
): Promise<void> {
  const begin = performance.now();
  let begun = 0;
  const open = new Set<Promise<unknown>>();
  while (!over.aborted) {
    for (const due = ((performance.now() - begin) / 1000) * rate; begun < due; begun++) {
      const sending = producer
        .send({ topic, body: BODY })
        .then(
          () => counts.sent++,
          () => counts.failed++,
        )
        .finally(() => open.delete(sending));
      open.add(sending);
    }
    await delay(TICK_MS);
  }
  await Promise.all(open);
}

async function sample(
  samples: Sample[],
  minutes: number,
  counts: Counts,
  over: AbortSignal,
  print: (line: string) => void,
): Promise<void> {
  const begin = performance.now();
  const collect = collector();
  while (!over.aborted) {
    await delay((minutes * 60_000) / SAMPLES, undefined, { signal: over }).catch(() => undefined);
    collect();
    const { heapUsed, external } = process.memoryUsage();
    const seconds = (performance.now() - begin) / 1000;
    samples.push({ seconds, bytes: heapUsed + external });
    const { sent, failed, handled } = counts;
    print(
      `${seconds.toFixed(0).padStart(5)} s  sent ${sent}  failed ${failed}  handled ${handled}  ${inMiB(heapUsed + external)}`,
    );
  }
}

/** A full collection whenever it is called. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return () => {
    collect();
    collect();
  };
}

function judge(samples: readonly Sample[], print: (line: string) => void): boolean {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP));
  const fifth = Math.max(1, Math.floor(settled.length / 5));
  const first = median(settled.slice(0, fifth));
  const last = median(settled.slice(-fifth));
  const allowed = Math.max(first * ALLOWED_SHARE, ALLOWED_BYTES);
  const kept = settled.length > 0 && last - first <= allowed;
  print(
    `in use after the warm-up ${inMiB(first)}, at the end ${inMiB(last)}, allowed growth ${inMiB(allowed)}`,
  );
  print(kept ? 'Memory ended where it began.' : 'Memory GREW: take heap snapshots of a longer run.');
  return kept;
}

function median(samples: readonly Sample[]): number {
  const sorted = samples.map(({ bytes }) => bytes).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function inMiB(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
