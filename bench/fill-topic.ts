import { batchBody, WireLimit } from './peers/wire-limit.js';

const PER_BATCH = 100;

/** Writes messages of 1 KiB as fast as it goes, evenly into the queues. */
export async function fillTopic(address: string, topic: string, messages: number, queues = 4): Promise<void> {
  const wire = await WireLimit.open(address);
  const packed = batchBody(Buffer.alloc(1024, 'x'), PER_BATCH);
  const batches = Math.ceil(messages / PER_BATCH);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < batches) await wire.sendBatch(topic, next++ % queues, packed);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  wire.close();
}
