import type { BenchContext } from '../context.js';
import { interleave, keepInFlight, timed, type Contender } from '../measure.js';
import { batchBody, WireLimit } from '../peers/wire-limit.js';
import { OURS, type Area, type Row } from '../report.js';

const BODY = Buffer.alloc(1024, 'x');

/** Sends of 1 KiB and batches of 32, compression off, against the wire limit and the Java client. */
export async function benchSend(context: BenchContext): Promise<readonly Area[]> {
  const producer = context.client.createProducer({ group: 'bench', compressAboveBytes: Infinity });
  await producer.start();
  const wire = await WireLimit.open(context.brokerAddress);
  const singles: Row[] = [];
  const batches: Row[] = [];
  try {
    for (const inFlight of [1, 16, 64, 256]) {
      context.progress(`send, ${inFlight} in flight`);
      const topic = await context.topic();
      let queue = 0;
      const contenders: Contender[] = [
        {
          name: OURS,
          round: (ms) => timed(() => keepInFlight(inFlight, ms, () => producer.send({ topic, body: BODY }))),
        },
        {
          name: 'wire limit',
          round: (ms) => timed(() => keepInFlight(inFlight, ms, () => wire.send(topic, queue++ & 3, BODY))),
        },
        {
          name: 'Java, sync send',
          round: (ms) => context.java.run(`send ${topic} ${inFlight} ${ms} ${BODY.length}`),
        },
      ];
      const figures = await interleave(contenders, context.plan);
      singles.push({
        what: `${inFlight} in flight`,
        figures,
        targets: { 'wire limit': 0.7, ...(inFlight >= 16 ? { 'Java, sync send': 2 } : {}) },
      });
    }
    const packed = batchBody(BODY, 32);
    for (const inFlight of [1, 4, 16]) {
      context.progress(`batches of 32, ${inFlight} in flight`);
      const topic = await context.topic();
      const messages = Array.from({ length: 32 }, () => ({ topic, body: BODY }));
      let queue = 0;
      const times32 = async (work: Promise<number>): Promise<number> => (await work) * 32;
      const contenders: Contender[] = [
        {
          name: OURS,
          round: (ms) => timed(() => times32(keepInFlight(inFlight, ms, () => producer.sendBatch(messages)))),
        },
        {
          name: 'wire limit',
          round: (ms) =>
            timed(() =>
              times32(keepInFlight(inFlight, ms, () => wire.sendBatch(topic, queue++ & 3, packed))),
            ),
        },
        {
          name: 'Java, batch',
          round: (ms) => context.java.run(`batch ${topic} ${inFlight} ${ms} ${BODY.length} 32`),
        },
      ];
      const figures = await interleave(contenders, context.plan);
      batches.push({
        what: `${inFlight} in flight`,
        figures,
        targets: { 'wire limit': 0.7, 'Java, batch': 1.2 },
      });
    }
  } finally {
    wire.close();
    await producer.close();
  }
  return [
    { title: 'Send, 1 KiB', unit: 'messages/s', rows: singles },
    { title: 'Send in batches of 32, 1 KiB', unit: 'messages/s', rows: batches },
  ];
}
