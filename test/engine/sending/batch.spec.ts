import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Message } from '../../../lib/message/message.js';
import { PartialBatchError } from '../../../lib/client/partial-batch-error.js';
import type { Producer } from '../../../lib/client/producer.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('sending a batch', () => {
  let sending: SendingClient;
  let producer: Producer;

  beforeAll(async () => {
    sending = await SendingClient.open();
    producer = await sending.producer();
  });
  afterAll(() => sending.close());

  const numbered = (topic: string, count: number, bytes = 10): Message[] =>
    Array.from({ length: count }, (_, index) => ({ topic, body: Buffer.alloc(bytes, `${index} `) }));
  const read = (topic: string, count: number) =>
    waitFor(
      async () => {
        const stored = await sending.reader.read(topic);
        return stored.length >= count && stored;
      },
      { describe: `${count} messages in ${topic}` },
    );

  it('stores all of them in one queue, in order, each with its own id, tag and headers', async () => {
    const topic = await sending.topic();

    const receipts = await producer.sendBatch(
      Array.from({ length: 20 }, (_, index) => ({
        topic,
        body: Buffer.from(`${index}`),
        tag: index % 2 === 0 ? 'even' : 'odd',
        keys: [`key-${index}`],
        headers: { index: `${index}`, text: '中文' },
      })),
    );

    const stored = await read(topic, 20);
    expect(stored.map(({ body }) => Number(body))).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(new Set(stored.map(({ queueId }) => queueId)).size).toBe(1);
    expect(
      stored.map(({ properties, queueId, queueOffset, offsetMessageId, brokerName }) => ({
        messageId: properties['UNIQ_KEY'],
        topic,
        brokerName,
        queueId,
        queueOffset,
        status: 'SEND_OK',
        offsetMessageId,
      })),
    ).toEqual(receipts);
    expect(stored[7]!.properties).toMatchObject({ TAGS: 'odd', KEYS: 'key-7', index: '7', text: '中文' });
  });

  it('splits at the size limit and keeps the order of receipts', async () => {
    const topic = await sending.topic({ queues: 1 });
    const small = await sending.producer({ maxMessageSize: 10_000 });

    const receipts = await small.sendBatch(numbered(topic, 50, 1_000));

    const stored = await read(topic, 50);
    expect(stored.map(({ properties }) => properties['UNIQ_KEY'])).toEqual(
      receipts.map(({ messageId }) => messageId),
    );
    expect(stored.map(({ offsetMessageId }) => offsetMessageId)).toEqual(
      receipts.map(({ offsetMessageId }) => offsetMessageId),
    );
  });

  it('stays within what a broker with default limits accepts', async () => {
    const topic = await sending.topic({ queues: 1 });
    // Many tiny messages: what the broker adds when it stores them counts more than what is sent.
    const tiny = numbered(topic, 30_000, 1);
    const large = numbered(topic, 9, 1_000_000);

    expect(await producer.sendBatch(tiny, { timeoutMs: 20_000 })).toHaveLength(30_000);
    expect(await producer.sendBatch(large, { timeoutMs: 20_000 })).toHaveLength(9);
  });

  it('sends a message that is as large as the limit alone', async () => {
    const topic = await sending.topic({ queues: 1 });
    const small = await sending.producer({ maxMessageSize: 10_000, compressAboveBytes: Infinity });
    const [a, b, c] = [10, 10_000, 20].map((bytes) => ({ topic, body: Buffer.alloc(bytes, 'x') }));

    await small.sendBatch([a!, b!, c!]);

    const stored = await read(topic, 3);
    expect(stored.map(({ body }) => body.length)).toEqual([10, 10_000, 20]);
  });

  it('puts a batch of one key into the queue of the key', async () => {
    const topic = await sending.topic({ queues: 4 });
    const [single] = [await producer.send({ topic, body: Buffer.from('x'), orderingKey: 'customer-1' })];

    const receipts = await producer.sendBatch(
      numbered(topic, 5).map((message) => ({ ...message, orderingKey: 'customer-1' })),
    );

    expect(new Set(receipts.map(({ queueId }) => queueId))).toEqual(new Set([single.queueId]));
  });

  it('takes an empty batch for nothing to do, and a single message for a plain one', async () => {
    const topic = await sending.topic();
    expect(await producer.sendBatch([])).toEqual([]);
    const [receipt] = await producer.sendBatch([{ topic, body: Buffer.alloc(50_000, 'y') }]);
    const [stored] = await read(topic, 1);
    expect(stored!.offsetMessageId).toBe(receipt!.offsetMessageId);
    expect(stored!.storeSize).toBeLessThan(5_000);
  });

  const good: Message = { topic: 'batch-topic', body: Buffer.from('x') };
  it.each<[string, Message, RegExp]>([
    ['another topic', { ...good, topic: 'other' }, /one topic.*"batch-topic" and "other"/],
    ['a delay level', { ...good, delivery: { level: 3 } }, /delayed/],
    ['a delivery time', { ...good, delivery: { afterMs: 1_000 } }, /delayed/],
    ['another waitStoreOk', { ...good, waitStoreOk: false }, /waitStoreOk/],
    ['another ordering key', { ...good, orderingKey: 'k' }, /ordering key/],
    ['an empty body', { ...good, body: Buffer.alloc(0) }, /empty body/],
  ])('refuses a batch with %s and says why', async (_, odd, reason) => {
    await expect(producer.sendBatch([good, odd])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(reason),
    });
  });

  it('refuses retry topics', async () => {
    await expect(producer.sendBatch([{ ...good, topic: '%RETRY%group' }])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('says what was stored when a later part fails', async () => {
    const topic = await sending.topic({ queues: 1 });
    // The second part is larger than the broker takes, though not larger than this producer thinks.
    const careless = await sending.producer({
      maxMessageSize: 6 * 1024 * 1024,
      compressAboveBytes: Infinity,
      maxAttempts: 1,
    });
    const messages = [...numbered(topic, 2, 1_000_000), { topic, body: Buffer.alloc(5 * 1024 * 1024, 'x') }];

    const failure: unknown = await careless
      .sendBatch(messages, { timeoutMs: 20_000 })
      .catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(PartialBatchError);
    expect(failure).toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
      retryable: false,
      message: expect.stringContaining('first 2 of 3'),
    });
    const stored = await read(topic, 2);
    expect((failure as PartialBatchError).receipts.map(({ messageId }) => messageId)).toEqual(
      stored.map(({ properties }) => properties['UNIQ_KEY']),
    );
  });
});
