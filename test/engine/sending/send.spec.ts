import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { selectQueueRandomly } from '../../../lib/client/queue-selectors.js';
import { javaStringHashCode } from '../../../lib/client/remoting/protocol/java-hash.js';
import { MessageSysFlag } from '../../../lib/client/remoting/protocol/message-sys-flag.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('sending one message', () => {
  let sending: SendingClient;

  beforeAll(async () => {
    sending = await SendingClient.open();
  });
  afterAll(() => sending.close());

  const read = (topic: string, count: number) =>
    waitFor(
      async () => {
        const stored = await sending.reader.read(topic);
        return stored.length >= count && stored;
      },
      { describe: `${count} messages in ${topic}` },
    );

  it('stores body, tag, keys, ordering key, headers and the unique key', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();

    const receipt = await producer.send({
      topic,
      body: Buffer.from('héllo'),
      tag: 'created',
      keys: ['order-1', 'customer-2'],
      orderingKey: 'customer-2',
      headers: { 'x-source': 'tést "quoted" \\ {}', lang: '中文 🚀' },
    });

    const [stored] = await read(topic, 1);
    expect(receipt).toEqual({
      messageId: expect.stringMatching(/^[0-9A-F]{32}$/),
      topic,
      brokerName: stored!.brokerName,
      queueId: stored!.queueId,
      queueOffset: stored!.queueOffset,
      status: 'SEND_OK',
      offsetMessageId: stored!.offsetMessageId,
    });
    expect(stored!.body.toString()).toBe('héllo');
    expect(stored!.properties).toMatchObject({
      UNIQ_KEY: receipt.messageId,
      TAGS: 'created',
      KEYS: 'order-1 customer-2',
      __SHARDINGKEY: 'customer-2',
      'x-source': 'tést "quoted" \\ {}',
      lang: '中文 🚀',
    });
    expect(Math.abs(stored!.bornTimestamp - Date.now())).toBeLessThan(60_000);
  });

  it('keeps the message id the caller gives, so that a resend has the identity of the first attempt', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();
    const first = await producer.send({ topic, body: Buffer.from('1') });

    const again = await producer.send({ topic, body: Buffer.from('1'), messageId: first.messageId });

    expect(again.messageId).toBe(first.messageId);
    const stored = await read(topic, 2);
    expect(stored.map(({ properties }) => properties['UNIQ_KEY'])).toEqual([
      first.messageId,
      first.messageId,
    ]);
  });

  it('refuses a message id that cannot be stored', async () => {
    const producer = await sending.producer();
    await expect(
      producer.send({ topic: 'any', body: Buffer.from('1'), messageId: 'a\u0001b' }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('takes the queues in turn', async () => {
    const topic = await sending.topic({ queues: 4 });
    const producer = await sending.producer();

    const receipts = await Promise.all(
      Array.from({ length: 12 }, () => producer.send({ topic, body: Buffer.from('x') })),
    );

    const perQueue = new Map<string, number>();
    for (const { brokerName, queueId } of receipts) {
      const queue = `${brokerName}:${queueId}`;
      perQueue.set(queue, (perQueue.get(queue) ?? 0) + 1);
    }
    const queues = [...(await sending.client.admin.offsets(topic)).keys()];
    expect(Math.max(...perQueue.values()) - Math.min(...perQueue.values())).toBeLessThanOrEqual(1);
    expect(perQueue.size).toBe(Math.min(queues.length, 12));
  });

  it('gives every message its own id, also under load', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();

    const receipts = await Promise.all(
      Array.from({ length: 2_000 }, () => producer.send({ topic, body: Buffer.from('x') })),
    );

    expect(new Set(receipts.map(({ messageId }) => messageId)).size).toBe(2_000);
    expect(new Set(receipts.map(({ offsetMessageId }) => offsetMessageId)).size).toBe(2_000);
    expect(await read(topic, 2_000)).toHaveLength(2_000);
  });

  it('compresses bodies from the threshold on, with zlib, and leaves smaller ones alone', async () => {
    const topic = await sending.topic({ queues: 1 });
    const producer = await sending.producer({ compressAboveBytes: 1_000 });
    const bodies = [999, 1_000, 200_000].map((size) => Buffer.alloc(size, 'compressible '));

    for (const body of bodies) await producer.send({ topic, body });

    const stored = await read(topic, 3);
    expect(stored.map(({ body }) => body.length)).toEqual([999, 1_000, 200_000]);
    expect(stored.map(({ body }, index) => body.equals(bodies[index]!))).toEqual([true, true, true]);
    const [plain, small, large] = stored.map(({ storeSize }) => storeSize);
    expect(plain).toBeGreaterThan(999);
    expect(small).toBeLessThan(500);
    expect(large).toBeLessThan(5_000);
  });

  it('sends what zlib would only make larger as it is', async () => {
    const topic = await sending.topic({ queues: 1 });
    const producer = await sending.producer({ compressAboveBytes: 10 });

    await producer.send({ topic, body: Buffer.from('0123456789abc') });

    const [stored] = await read(topic, 1);
    expect(stored!.body.toString()).toBe('0123456789abc');
    expect(stored!.sysFlag & MessageSysFlag.COMPRESSED).toBe(0);
  });

  it('creates an unknown topic on a broker that allows it', async () => {
    const producer = await sending.producer();
    const topic = `${await sending.topic()}-auto`;

    const receipt = await producer.send({ topic, body: Buffer.from('x') });

    expect(receipt.status).toBe('SEND_OK');
    expect(await read(topic, 1)).toHaveLength(1);
    if (isBroker5()) await sending.client.admin.deleteTopic(topic);
  });

  // Brokers of 4.9 read the property and do not store it.
  it.runIf(isBroker5())('marks a message that need not wait for flush and replication', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();
    await producer.send({ topic, body: Buffer.from('x'), waitStoreOk: false });
    const [stored] = await read(topic, 1);
    expect(stored!.properties['WAIT']).toBe('false');
  });

  it('sends one-way: resolves at once, and the message arrives', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();

    for (let index = 0; index < 100; index++) {
      await producer.sendOneWay({ topic, body: Buffer.from(`${index}`), tag: 'quick' });
    }

    const stored = await read(topic, 100);
    expect(stored.map(({ body }) => Number(body)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
    expect(stored[0]!.properties['TAGS']).toBe('quick');
  });

  it('sends one-way to the queue of the key', async () => {
    const topic = await sending.topic({ queues: 4 });
    const producer = await sending.producer();
    const { queueId } = await producer.send({ topic, body: Buffer.from('first'), orderingKey: 'key' });
    for (let index = 0; index < 20; index++) {
      await producer.sendOneWay({ topic, body: Buffer.from(`${index}`), orderingKey: 'key' });
    }
    const stored = await read(topic, 21);
    expect(new Set(stored.map((message) => message.queueId))).toEqual(new Set([queueId]));
  });

  it('refuses before start and after close', async () => {
    const message = { topic: 'any', body: Buffer.from('x') };
    const unstarted = sending.client.createProducer({ group: 'never-started' });
    await expect(unstarted.send(message)).rejects.toMatchObject({
      code: 'CLOSED',
      message: expect.stringContaining('start()'),
    });
    const closed = await sending.producer();
    await closed.close();
    await closed.close();
    await expect(closed.send(message)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(closed.sendOneWay(message)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(closed.sendBatch([message])).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(closed.start()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('lets what is in flight finish when it is closed', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();
    const sends = Array.from({ length: 200 }, () => producer.send({ topic, body: Buffer.from('x') }));

    await producer.close();

    expect(await Promise.all(sends)).toHaveLength(200);
  });

  it('leaves no socket and no timer behind when the client is closed', async () => {
    const sockets = () =>
      process.getActiveResourcesInfo().filter((name) => /TCP|Socket|Timeout/.test(name)).length;
    const topic = await sending.topic();
    const before = sockets();
    const client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    const producer = client.createProducer({ group: uniqueName('leaving') });
    producer.setTransactionCheck(() => Promise.resolve('unknown'));
    await producer.start();
    await producer.send({ topic, body: Buffer.from('x') });
    await producer.sendHalf({ topic, body: Buffer.from('x') });
    expect(sockets()).toBeGreaterThan(before);

    await client.close();

    await waitFor(() => sockets() <= before, { describe: () => process.getActiveResourcesInfo().join() });
  });

  it('refuses a second producer of the same group on one client', async () => {
    const first = await sending.producer();
    const second = sending.client.createProducer({ group: first.group });
    await expect(second.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await first.close();
    await second.start();
  });

  describe('in order', () => {
    it('puts messages of one key into the queue Java chooses by hash, in the order they were sent', async () => {
      const topic = await sending.topic({ queues: 4 });
      const producer = await sending.producer();
      const keys = ['a', 'customer-17', 'customer-18', '中文', 'polygenelubricants'];

      for (let round = 0; round < 5; round++) {
        await Promise.all(
          keys.map((key) => producer.send({ topic, body: Buffer.from(`${round}`), orderingKey: key })),
        );
      }

      const stored = await read(topic, 25);
      const queues = [...(await sending.client.admin.offsets(topic)).keys()].length;
      for (const key of keys) {
        const ofKey = stored.filter(({ properties }) => properties['__SHARDINGKEY'] === key);
        expect(ofKey.map(({ body }) => Number(body))).toEqual([0, 1, 2, 3, 4]);
        if (queues === 4) {
          expect(new Set(ofKey.map(({ queueId }) => queueId))).toEqual(
            new Set([Math.abs(javaStringHashCode(key) % 4)]),
          );
        }
      }
    });

    it('asks a selector of the application', async () => {
      const topic = await sending.topic({ queues: 4 });
      const producer = await sending.producer();
      const seen: unknown[] = [];

      const receipt = await producer.send(
        { topic, body: Buffer.from('x'), orderingKey: 'vip' },
        {
          selector: (queues, message, key) => {
            seen.push(queues[0]!.topic, message.topic, key);
            return queues.at(-1)!;
          },
        },
      );

      expect(receipt.queueId).toBe(3);
      expect(seen).toEqual([topic, topic, 'vip']);
    });

    it('spreads by chance with the random selector', async () => {
      const topic = await sending.topic({ queues: 4 });
      const producer = await sending.producer();
      const used = new Set<number>();
      await waitFor(async () => {
        const message = { topic, body: Buffer.from('x'), orderingKey: 'one key' };
        used.add((await producer.send(message, { selector: selectQueueRandomly })).queueId);
        return used.size === 4;
      });
    });

    it('refuses a selector that makes up a queue', async () => {
      const topic = await sending.topic();
      const producer = await sending.producer();
      await expect(
        producer.send(
          { topic, body: Buffer.from('x'), orderingKey: 'k' },
          { selector: () => ({ topic, brokerName: 'nowhere', queueId: 77 }) },
        ),
      ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('selector') });
    });

    it('sends to exactly the queue the caller names', async () => {
      const topic = await sending.topic({ queues: 4 });
      const producer = await sending.producer();
      const { brokerName } = await producer.send({ topic, body: Buffer.from('x') });

      const receipts = await Promise.all(
        Array.from({ length: 8 }, () =>
          producer.send({ topic, body: Buffer.from('x') }, { queue: { topic, brokerName, queueId: 2 } }),
        ),
      );

      expect(new Set(receipts.map(({ queueId }) => queueId))).toEqual(new Set([2]));
      await expect(
        producer.send(
          { topic, body: Buffer.from('x') },
          { queue: { topic: 'other', brokerName, queueId: 0 } },
        ),
      ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });
  });
});
