import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ReceivedMessage } from '../../../lib/message/message.js';
import type { Producer, TransactionCheck } from '../../../lib/client/producer.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

/** The test broker asks for the first time about two seconds after the half message, then every second. */
describe.concurrent('transactional messages', () => {
  let sending: SendingClient;

  beforeAll(async () => {
    sending = await SendingClient.open();
  });
  afterAll(() => sending.close());

  async function transactional(check: TransactionCheck, group?: string): Promise<Producer> {
    const producer = await sending.producer(group === undefined ? {} : { group });
    producer.setTransactionCheck(check);
    return producer;
  }

  const bodies = async (topic: string): Promise<string[]> =>
    (await sending.reader.read(topic)).map(({ body }) => body.toString());
  const untilBodies = (topic: string, expected: string[]) =>
    waitFor(async () => (await bodies(topic)).sort().join() === [...expected].sort().join(), {
      describe: `exactly ${expected.join()} in ${topic}`,
    });
  const neverAsked: TransactionCheck = () => Promise.reject(new Error('asked about a settled message'));

  /** Half messages end before the broker's checks of this one are through: a point in time after them. */
  async function afterNextChecks(topic: string): Promise<void> {
    let checks = 0;
    const marker = await transactional(() => {
      checks++;
      return Promise.resolve(checks >= 3 ? 'rollback' : 'unknown');
    });
    await marker.sendHalf({ topic, body: Buffer.from('marker') });
    await waitFor(() => checks >= 3, { describe: 'three checks of a later half message' });
    await marker.close();
  }

  it('shows a committed message to consumers, and a half message to nobody', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const producer = await transactional(neverAsked);

    const half = await producer.sendHalf({
      topic,
      body: Buffer.from('paid'),
      tag: 'paid',
      keys: ['order-1'],
      headers: { amount: '10' },
    });
    expect(await bodies(topic)).toEqual([]);
    await half.commit();

    await untilBodies(topic, ['paid']);
    const [stored] = await sending.reader.read(topic);
    expect(half.receipt).toMatchObject({
      messageId: stored!.properties['UNIQ_KEY'],
      transactionId: half.receipt.messageId,
      status: 'SEND_OK',
    });
    expect(stored!.properties).toMatchObject({
      TAGS: 'paid',
      KEYS: 'order-1',
      amount: '10',
      PGROUP: producer.group,
    });
    await half.commit();
    await expect(half.rollback()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('never shows a message that was rolled back, and does not ask about settled ones', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const asked: string[] = [];
    const producer = await transactional((message) => {
      asked.push(message.messageId);
      return Promise.resolve('commit');
    });

    const rolledBack = await producer.sendHalf({ topic, body: Buffer.from('rolled back') });
    await rolledBack.rollback();
    const committed = await producer.sendHalf({ topic, body: Buffer.from('committed') });
    await committed.commit();
    await afterNextChecks(topic);

    expect(asked).toEqual([]);
    expect(await bodies(topic)).toEqual(['committed']);
  });

  it('asks for the outcome of a half message left open, showing it as it was sent', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const asked: ReceivedMessage[] = [];
    const producer = await transactional((message) => {
      asked.push(message);
      return Promise.resolve('commit');
    });

    const { receipt } = await producer.sendHalf({
      topic,
      body: Buffer.alloc(20_000, 'large '),
      tag: 't',
      keys: ['k'],
      orderingKey: 'customer-1',
      headers: { header: 'value' },
    });

    await waitFor(async () => (await bodies(topic)).length === 1, { describe: 'the committed message' });
    expect(asked[0]).toMatchObject({
      topic,
      messageId: receipt.messageId,
      transactionId: receipt.messageId,
      tag: 't',
      keys: ['k'],
      orderingKey: 'customer-1',
      headers: { header: 'value' },
      brokerName: receipt.brokerName,
      queueId: receipt.queueId,
    });
    expect(asked[0]!.body).toEqual(Buffer.alloc(20_000, 'large '));
  });

  it('discards a half message whose check answers rollback', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    let asked = 0;
    const producer = await transactional(() => {
      asked++;
      return Promise.resolve('rollback');
    });
    await producer.sendHalf({ topic, body: Buffer.from('x') });
    await waitFor(() => asked > 0, { describe: 'the check' });
    await afterNextChecks(topic);
    expect(asked).toBe(1);
    expect(await bodies(topic)).toEqual([]);
  });

  it('is asked again after "unknown", after an error and after a wrong answer', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const answers: (() => Promise<'commit'>)[] = [
      () => Promise.resolve('unknown' as never),
      () => Promise.reject(new Error('database is away')),
      () => Promise.resolve('perhaps' as never),
      () => Promise.resolve('commit'),
    ];
    let asked = 0;
    const producer = await transactional(() => answers[asked++]!());

    await producer.sendHalf({ topic, body: Buffer.from('settled at last') });

    await untilBodies(topic, ['settled at last']);
    expect(asked).toBe(4);
    expect(sending.log.join('\n')).toMatch(/database is away/);
    expect(sending.log.join('\n')).toMatch(/"perhaps"/);
  });

  it('commits at the place of the latest check: the message appears once and is not asked about again', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    let asked = 0;
    const producer = await transactional(() => {
      asked++;
      return Promise.resolve('unknown');
    });
    const half = await producer.sendHalf({ topic, body: Buffer.from('late') });
    await waitFor(() => asked >= 2, { describe: 'two checks' });

    await half.commit();
    const askedBefore = asked;
    await afterNextChecks(topic);

    expect(asked).toBe(askedBefore);
    expect(await bodies(topic)).toEqual(['late']);
  });

  it('answers with the latest place when the broker asks again while a check is running', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    let asked = 0;
    let answer: (resolution: 'commit') => void = () => undefined;
    const producer = await transactional(() => {
      asked++;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    await producer.sendHalf({ topic, body: Buffer.from('slow check') });
    await waitFor(() => asked === 1, { describe: 'the first check' });
    await afterNextChecks(topic);
    // The broker has asked several times; the check is running once.
    expect(asked).toBe(1);

    answer('commit');

    await untilBodies(topic, ['slow check']);
    await afterNextChecks(topic);
    expect(asked).toBe(1);
    expect(await bodies(topic)).toEqual(['slow check']);
  });

  it('keeps several producer groups of one process apart', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const asked = new Map<string, string[]>();
    const producers = await Promise.all(
      ['orders', 'payments', 'stock'].map((name) =>
        transactional((message) => {
          asked.set(name, [...(asked.get(name) ?? []), message.body.toString()]);
          return Promise.resolve('commit');
        }, uniqueName(name)),
      ),
    );

    await Promise.all(
      ['orders', 'payments', 'stock'].map((name, index) =>
        producers[index]!.sendHalf({ topic, body: Buffer.from(name) }),
      ),
    );

    await untilBodies(topic, ['orders', 'payments', 'stock']);
    expect(Object.fromEntries(asked)).toEqual({
      orders: ['orders'],
      payments: ['payments'],
      stock: ['stock'],
    });
  });

  it('lets another instance of the group answer when the sender is gone', async ({ onTestFinished }) => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const group = uniqueName('shared');
    const gone = await SendingClient.open();
    const sender = await gone.producer({ group });
    sender.setTransactionCheck(neverAsked);
    await sender.sendHalf({ topic, body: Buffer.from('orphan') });
    await gone.close();

    const asked: string[] = [];
    const heir = await SendingClient.open();
    onTestFinished(() => heir.close());
    // It sends nothing: starting is enough for brokers to know it.
    const producer = await heir.producer({ group });
    producer.setTransactionCheck((message) => {
      asked.push(message.body.toString());
      return Promise.resolve('commit');
    });

    await untilBodies(topic, ['orphan']);
    expect(asked).toEqual(['orphan']);
  });

  it('leaves checks open that come before there is a check function, and answers later ones', async ({
    onTestFinished,
  }) => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const group = uniqueName('starting');
    const first = await SendingClient.open();
    const sender = await first.producer({ group });
    sender.setTransactionCheck(neverAsked);
    await sender.sendHalf({ topic, body: Buffer.from('early') });
    await first.close();

    const starting = await SendingClient.open();
    onTestFinished(() => starting.close());
    const producer = await starting.producer({ group });
    await producer.send({ topic: await starting.topic(), body: Buffer.from('hello') });
    await waitFor(() => starting.log.some((line) => line.includes('starting')), {
      describe: 'a check that finds no function yet',
    });
    expect(await bodies(topic)).toEqual([]);

    producer.setTransactionCheck(() => Promise.resolve('commit'));
    await untilBodies(topic, ['early']);
  });

  it('finishes a running check before it closes', async () => {
    const topic = await sending.topic({ type: 'TRANSACTION' });
    const closing = await SendingClient.open();
    const producer = await closing.producer();
    let running = false;
    let answer: (resolution: 'commit') => void = () => undefined;
    producer.setTransactionCheck(() => {
      running = true;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    await producer.sendHalf({ topic, body: Buffer.from('last words') });
    await waitFor(() => running, { describe: 'the check' });

    const closed = producer.close(20_000);
    answer('commit');
    await closed;

    await untilBodies(topic, ['last words']);
    await closing.close();
  });

  it('refuses half messages without a check, and delayed ones', async () => {
    const producer = await sending.producer();
    await expect(producer.sendHalf({ topic: 'any', body: Buffer.from('x') })).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('setTransactionCheck'),
    });
    producer.setTransactionCheck(neverAsked);
    await expect(
      producer.sendHalf({ topic: 'any', body: Buffer.from('x'), delivery: { level: 1 } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
