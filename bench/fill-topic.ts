import { batchBody, WireLimit } from './peers/wire-limit.js';

/** Bytes of a batch; brokers take up to 4 MiB. */
const BATCH_BYTES = 100 * 1024;

/** Writes messages as fast as it goes, evenly into the queues; as many as full batches make. @param size of the bodies */
export async function fillTopic(
  address: string,
  topic: string,
  messages: number,
  queues = 4,
  size = 1024,
): Promise<number> {
  const wire = await WireLimit.open(address);
  const perBatch = Math.max(1, Math.min(messages, Math.floor(BATCH_BYTES / size)));
  const packed = batchBody(Buffer.alloc(size, 'x'), perBatch);
  const batches = Math.ceil(messages / perBatch);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < batches) await wire.sendBatch(topic, next++ % queues, packed);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  wire.close();
  return batches * perBatch;
}
