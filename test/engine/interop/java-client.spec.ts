import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { ACK, RETRY, type MessageHandler } from '../../../lib/client/push-consumer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import type { ReceivedMessage } from '../../../lib/message/message.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { javaPeer, type JavaPeer } from '../../support/java-peer.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

/** The Java client is the reference: what it writes we must read, what we write it must read. */
describe('interop with the Java client', () => {
  let client: RocketMQClient;
  let java: (...args: string[]) => JavaPeer;
  const peers: JavaPeer[] = [];

  const startJava = (...args: string[]): JavaPeer => {
    const peer = java(...args);
    peers.push(peer);
    return peer;
  };

  beforeAll(async () => {
    // The 5.5.0 client speaks to 4.9 brokers as well.
    java = await javaPeer();
    client = createRocketMQClient({ nameServer: nameServer(), instanceName: uniqueName('interop') });
    await client.start();
  });

  afterAll(async () => {
    for (const peer of peers) peer.kill();
    await client?.close();
  });

  async function topicOf(prefix: string): Promise<string> {
    const topic = uniqueName(prefix);
    await client.admin.createTopic(topic, { queues: 4 });
    return topic;
  }

  const kindOf = (message: ReceivedMessage): string => message.headers['kind'] ?? '';

  it('reads every kind of message a Java producer sends', async () => {
    const topic = await topicOf('java-to-node');
    const received: ReceivedMessage[] = [];
    const consumer = client.createPushConsumer({
      group: uniqueName('g'),
      startFrom: 'first',
      subscriptions: [{ topic }],
      handler: async (messages) => {
        received.push(...messages);
        return ACK;
      },
    });
    await consumer.start();
    const producer = startJava('produce', nameServer(), topic, uniqueName('r'), isBroker5() ? '5' : '4');
    await producer.finished();
    const kinds = [
      'plain',
      'unicode',
      'rich',
      'compressed',
      'batch-0',
      'batch-1',
      'batch-2',
      'delay-level',
      'one-way',
      'tx-commit',
      'tx-checked',
      'ordered-0',
      'ordered-1',
      'ordered-2',
      'ordered-3',
      'ordered-4',
      ...(isBroker5() ? ['timer'] : []),
    ];
    await waitFor(() => kinds.every((kind) => received.some((message) => kindOf(message) === kind)), {
      timeoutMs: 90_000,
      describe: () => `all kinds from Java; got ${received.map(kindOf).join(', ')}`,
    });
    await consumer.close();

    const of = (kind: string): ReceivedMessage => received.find((message) => kindOf(message) === kind)!;
    expect(received.map(kindOf).filter((kind) => kind === 'tx-rollback')).toEqual([]);
    expect(of('unicode').body.toString()).toBe('Grüße 消息 😀');
    expect(of('rich').tag).toBe('created');
    expect(of('rich').keys).toHaveLength(2);
    expect(of('rich').headers).toMatchObject({ trace: 'a=b;c=d', unicode: 'Grüße 消息' });
    expect(of('compressed').body.toString()).toBe('java '.repeat(4000));
    expect(of('tx-commit').transactionId).toBeTruthy();
    const ordered = received
      .filter((message) => kindOf(message).startsWith('ordered-'))
      .toSorted((a, b) => a.queueOffset - b.queueOffset);
    expect(ordered.map(kindOf)).toEqual(['ordered-0', 'ordered-1', 'ordered-2', 'ordered-3', 'ordered-4']);
    expect(new Set(ordered.map((message) => message.queueId)).size).toBe(1);
    for (const line of producer.sent()) {
      if (line['sent'] === 'batch' || line['sent'] === 'timer' || line['sent'] === 'delay-level') continue;
      expect(of(line['sent']!).messageId).toBe(line['msgId']);
    }
  });

  it('is read by a Java consumer, whatever it sends', async () => {
    const topic = await topicOf('node-to-java');
    const consumer = startJava('consume', nameServer(), topic, uniqueName('g'), 'concurrent');
    await consumer.started();
    const producer = client.createProducer({ group: uniqueName('node') });
    producer.setTransactionCheck(async (half) => (kindOf(half) === 'tx-rollback' ? 'rollback' : 'commit'));
    await producer.start();
    const message = (kind: string, body = `node ${kind}`) => ({
      topic,
      body: Buffer.from(body),
      headers: { kind },
    });
    const ids = new Map<string, string>();
    const note = (kind: string, receipt: { messageId: string }): void =>
      void ids.set(kind, receipt.messageId);

    note('plain', await producer.send(message('plain')));
    note('unicode', await producer.send(message('unicode', 'Grüße 消息 😀')));
    note(
      'rich',
      await producer.send({
        ...message('rich'),
        tag: 'created',
        keys: ['k1', 'k2'],
        headers: { kind: 'rich', trace: 'a=b;c=d', unicode: 'Grüße 消息' },
      }),
    );
    note('compressed', await producer.send(message('compressed', 'node '.repeat(4000))));
    const batch = await producer.sendBatch([0, 1, 2].map((i) => message(`batch-${i}`)));
    batch.forEach((receipt, i) => note(`batch-${i}`, receipt));
    for (let i = 0; i < 5; i++)
      note(`ordered-${i}`, await producer.send({ ...message(`ordered-${i}`), orderingKey: 'order-7' }));
    note('delay-level', await producer.send({ ...message('delay-level'), delivery: { level: 2 } }));
    if (isBroker5()) note('timer', await producer.send({ ...message('timer'), delivery: { afterMs: 1500 } }));
    await producer.sendOneWay(message('one-way'));
    const committed = await producer.sendHalf(message('tx-commit'));
    await committed.commit();
    note('tx-commit', committed.receipt);
    await (await producer.sendHalf(message('tx-rollback'))).rollback();
    note('tx-checked', (await producer.sendHalf(message('tx-checked'))).receipt);

    const kinds = [...ids.keys(), 'one-way'];
    await waitFor(
      () => kinds.every((kind) => consumer.received().some((line) => line['received'] === kind)),
      {
        timeoutMs: 90_000,
        describe: () =>
          `all kinds in Java; got ${consumer
            .received()
            .map((line) => line['received'])
            .join(', ')}`,
      },
    );
    await producer.close();

    const of = (kind: string) => consumer.received().find((line) => line['received'] === kind)!;
    const bodyOf = (kind: string): string => Buffer.from(of(kind)['body']!, 'base64').toString();
    expect(consumer.received().map((line) => line['received'])).not.toContain('tx-rollback');
    expect(bodyOf('unicode')).toBe('Grüße 消息 😀');
    expect(bodyOf('compressed')).toBe('node '.repeat(4000));
    expect(of('rich')).toMatchObject({
      tags: 'created',
      keys: 'k1 k2',
      trace: 'a=b;c=d',
      unicode: 'Grüße 消息',
    });
    for (const [kind, id] of ids) {
      if (kind === 'timer') continue;
      expect(of(kind)['msgId']).toBe(id);
    }
    const ordered = consumer
      .received()
      .filter((line) => line['received']!.startsWith('ordered-'))
      .toSorted((a, b) => Number(a['queueOffset']) - Number(b['queueOffset']));
    expect(ordered.map((line) => line['received'])).toEqual([
      'ordered-0',
      'ordered-1',
      'ordered-2',
      'ordered-3',
      'ordered-4',
    ]);
    expect(new Set(ordered.map((line) => line['queueId'])).size).toBe(1);
    await consumer.leave();
  });

  it('sends one ordering key to the queue Java chooses for it', async () => {
    const topic = await topicOf('same-queue');
    const peer = startJava('produce', nameServer(), topic, uniqueName('r'), '4');
    const producer = client.createProducer({ group: uniqueName('node') });
    await producer.start();
    const ours = await producer.send({ topic, body: Buffer.from('x'), orderingKey: 'order-7' });
    await producer.close();
    const theirs = await peer.printed((line) => line['sent'] === 'ordered-0');
    expect(String(ours.queueId)).toBe(theirs['queueId']);
    peer.kill();
  });

  it.each(['concurrent', 'orderly'] as const)(
    'shares the queues of one %s group with a Java member, and takes over when it leaves',
    async (mode) => {
      const topic = await topicOf(`mixed-${mode}`);
      const group = uniqueName('g');
      const handled: string[] = [];
      const handler: MessageHandler = async (messages) => {
        handled.push(...messages.map((message) => message.body.toString()));
        return ACK;
      };
      const peer = startJava('consume', nameServer(), topic, group, mode);
      await peer.started();
      const consumer = client.createPushConsumer({
        group,
        mode,
        startFrom: 'first',
        subscriptions: [{ topic }],
        handler,
      });
      await consumer.start();
      await waitFor(
        () => consumer.assignment().filter((queue) => queue.startsWith(`${topic}@`)).length === 2,
        {
          timeoutMs: 90_000,
          describe: () => `two of four queues each; has ${consumer.assignment().join(', ')}`,
        },
      );
      const producer = client.createProducer({ group: uniqueName('node') });
      await producer.start();
      const sent: string[] = [];
      const send = async (from: number, to: number): Promise<void> => {
        for (let i = from; i < to; i++) {
          await producer.send({ topic, body: Buffer.from(`m${i}`), headers: { kind: `m${i}` } });
          sent.push(`m${i}`);
        }
      };
      await send(0, 40);
      const everything = (): Set<string> =>
        new Set([...handled, ...peer.received().map((line) => line['received']!)]);
      await waitFor(() => sent.every((body) => everything().has(body)), {
        timeoutMs: 90_000,
        describe: () => `all of ${sent.length}; have ${everything().size}`,
      });
      expect(handled.length).toBeGreaterThan(0);
      expect(peer.received().length).toBeGreaterThan(0);
      await peer.leave();
      await send(40, 80);
      await waitFor(() => sent.every((body) => everything().has(body)), {
        timeoutMs: 90_000,
        describe: () => `all of ${sent.length} after Java left; have ${everything().size}`,
      });
      expect(consumer.assignment().filter((queue) => queue.startsWith(`${topic}@`))).toHaveLength(4);
      await consumer.close();
      await producer.close();
    },
    180_000,
  );

  it('hands a message it could not handle to a Java member of the group, with its count of attempts', async () => {
    const topic = await topicOf('retry');
    const group = uniqueName('g');
    const consumer = client.createPushConsumer({
      group,
      startFrom: 'first',
      subscriptions: [{ topic }],
      handler: async () => RETRY,
    });
    await consumer.start();
    await consumer.whenAssigned();
    const producer = client.createProducer({ group: uniqueName('node') });
    await producer.start();
    const retried = new Promise<void>((resolve) =>
      consumer.onEvent((event) => event.type === 'retried' && resolve()),
    );
    const { messageId } = await producer.send({
      topic,
      body: Buffer.from('again'),
      headers: { kind: 'again' },
    });
    await retried;
    await consumer.close();
    const peer = startJava('consume', nameServer(), topic, group, 'concurrent');
    const line = await peer.printed(({ received }) => received === 'again');
    expect(line).toMatchObject({ topic, msgId: messageId });
    expect(Number(line['reconsumeTimes'])).toBeGreaterThanOrEqual(1);
    await peer.leave();
    await producer.close();
  });

  it('answers a request of a Java producer', async () => {
    const topic = await topicOf('java-asks');
    const producer = client.createProducer({ group: uniqueName('p') });
    await producer.start();
    const consumer = client.createPushConsumer({
      group: uniqueName('g'),
      startFrom: 'first',
      subscriptions: [{ topic }],
      handler: async ([request]) => {
        const body = Buffer.from(`node answers ${request!.body.toString()} ${'x'.repeat(10_000)}`);
        await producer.reply(request!, { body, headers: { kind: 'answer' } });
        return ACK;
      },
    });
    await consumer.start();
    const asking = startJava('request', nameServer(), topic, uniqueName('r'));
    await asking.finished();
    const [reply] = asking.received();
    expect(reply).toMatchObject({ received: 'answer' });
    const answer = Buffer.from(reply!['body']!, 'base64').toString();
    expect(answer).toBe(`node answers java asks ${'x'.repeat(10_000)}`);
    await consumer.close();
    await producer.close();
  });

  it('is answered by a Java consumer', async () => {
    const topic = await topicOf('node-asks');
    const answering = startJava('reply', nameServer(), topic, uniqueName('g'));
    await answering.started();
    const producer = client.createProducer({ group: uniqueName('p') });
    await producer.start();
    const { reply } = await producer.request(
      { topic, body: Buffer.from('node asks') },
      { timeoutMs: 60_000 },
    );
    expect(reply.body.toString()).toBe('java answers node asks');
    expect(reply.headers).toEqual({ kind: 'answer' });
    await answering.leave();
    await producer.close();
  });
});
