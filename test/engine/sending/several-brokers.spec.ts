import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ACK } from '../../../lib/client/push-consumer.js';
import { RemotingChannels } from '../../../lib/client/remoting/network/remoting-channels.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../../lib/client/remoting/protocol/response-code.js';
import { systemClock } from '../../../lib/client/clock.js';
import { startStack, type Stack } from '../../../scripts/stack/stack.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import { isBroker5 } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { TopicReader } from '../../support/stored-messages.js';
import { brokerThroughProxy } from '../../support/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';

/** Two masters and a slave of its own: this test takes them down. */
describe('sending to several brokers', () => {
  let stack: Stack;
  let client: RocketMQClient;
  let reader: TopicReader;

  beforeAll(async () => {
    stack = await startStack({
      name: uniqueName('several-brokers'),
      cluster: true,
      replication: 'sync',
      brokerHeapMb: 512,
      // Only then a broker of 5.x says GO_AWAY when it stops; 4.9 knows neither.
      brokerConfig: { enableShutdownGracefully: true, shutdownWaitTimeSeconds: 2 },
    });
    client = createRocketMQClient({ nameServer: stack.nameServer, routePollIntervalMs: 1_000 });
    await client.start();
    reader = new TopicReader(stack.nameServer);
  }, 180_000);
  afterAll(async () => {
    await reader?.close();
    await client?.close();
    await stack?.stop();
  }, 120_000);

  it('creates topics on every master and spreads messages over all queues', async () => {
    const topic = uniqueName('spread');
    await client.admin.createTopic(topic, { queues: 3 });
    const producer = client.createProducer({ group: uniqueName('spreading'), sendTimeoutMs: 20_000 });
    await producer.start();

    const receipts = await Promise.all(
      Array.from({ length: 60 }, () => producer.send({ topic, body: Buffer.from('x') })),
    );

    const perQueue = new Map<string, number>();
    for (const { brokerName, queueId } of receipts) {
      perQueue.set(`${brokerName}:${queueId}`, (perQueue.get(`${brokerName}:${queueId}`) ?? 0) + 1);
    }
    expect(Object.fromEntries(perQueue)).toEqual({
      'broker-a:0': 10,
      'broker-a:1': 10,
      'broker-a:2': 10,
      'broker-b:0': 10,
      'broker-b:1': 10,
      'broker-b:2': 10,
    });
    expect([...(await client.admin.offsets(topic)).keys()].sort((x, y) => x.localeCompare(y))).toEqual(
      [...perQueue.keys()].sort((x, y) => x.localeCompare(y)),
    );
    await producer.close();
  });

  it('passes over a master that answers slowly, when it is told to look at answer times', async () => {
    const topic = uniqueName('slow');
    await client.admin.createTopic(topic, { queues: 2 });
    const slow = await brokerThroughProxy(stack.nameServer, stack.broker('broker-b').address);
    const behindIt = createRocketMQClient({ nameServer: slow.nameServer });
    await behindIt.start();
    const sendsToBrokerB = async (sends: number, latencyAware: boolean): Promise<number> => {
      const producer = behindIt.createProducer({
        group: uniqueName('choosing'),
        latencyAware,
        sendTimeoutMs: 20_000,
      });
      await producer.start();
      let count = 0;
      for (let n = 0; n < sends; n++) {
        const { brokerName } = await producer.send({ topic, body: Buffer.from('x') });
        if (brokerName === 'broker-b') count++;
      }
      await producer.close();
      return count;
    };
    try {
      // An answer this late keeps a broker out for five seconds: longer than the rest of the sends takes.
      slow.broker.delay(2_000);
      expect(await sendsToBrokerB(4, false)).toBe(2);
      expect(await sendsToBrokerB(20, true)).toBeLessThan(5);
    } finally {
      await behindIt.close();
      await slow.close();
    }
  }, 120_000);

  it('asks and answers over every master', async () => {
    const topic = uniqueName('asked');
    await client.admin.createTopic(topic, { queues: 1 });
    const answering = createRocketMQClient({ nameServer: stack.nameServer });
    await answering.start();
    const replier = answering.createProducer({ group: uniqueName('replying') });
    await replier.start();
    const consumer = answering.createPushConsumer({
      group: uniqueName('answering'),
      subscriptions: [{ topic }],
      startFrom: 'first',
      handler: async ([request]) => {
        if (request) await replier.reply(request, { body: Buffer.from(`re: ${request.body.toString()}`) });
        return ACK;
      },
    });
    await consumer.start();
    const producer = client.createProducer({ group: uniqueName('asking'), sendTimeoutMs: 20_000 });
    await producer.start();
    try {
      const asked = ['a', 'b', 'c', 'd'];
      const results = await Promise.all(
        asked.map((body) => producer.request({ topic, body: Buffer.from(body) })),
      );
      expect(results.map(({ reply }) => reply.body.toString())).toEqual(asked.map((body) => `re: ${body}`));
      expect(new Set(results.map(({ receipt }) => receipt.brokerName))).toEqual(
        new Set(['broker-a', 'broker-b']),
      );
    } finally {
      await producer.close();
      await answering.close();
    }
  }, 120_000);

  it('loses no acknowledged message and fails no send when a master dies under load', async () => {
    const topic = uniqueName('death');
    await client.admin.createTopic(topic, { queues: 2 });
    const producer = client.createProducer({ group: uniqueName('surviving'), sendTimeoutMs: 10_000 });
    await producer.start();
    const acknowledged = new Set<string>();
    const brokers = new Set<string>();
    let failures = 0;
    const enough = new AbortController();
    const load = async (): Promise<void> => {
      while (!enough.signal.aborted) {
        try {
          const { messageId, brokerName } = await producer.send({ topic, body: Buffer.alloc(500, 'x') });
          acknowledged.add(messageId);
          brokers.add(brokerName);
        } catch {
          failures++;
        }
      }
    };
    const workers = Array.from({ length: 16 }, load);
    await waitFor(() => brokers.size === 2 && acknowledged.size > 500, { describe: 'load on both brokers' });

    await stack.broker('broker-b').kill();
    const before = acknowledged.size;
    await waitFor(() => acknowledged.size > before + 2_000, { describe: 'sends without the dead broker' });
    expect(client.state).toBe('up');

    await stack.broker('broker-b').start();
    brokers.clear();
    await waitFor(() => brokers.has('broker-b'), {
      describe: 'sends to the broker that is back',
      timeoutMs: 60_000,
    });
    enough.abort();
    await Promise.all(workers);

    expect(failures).toBe(0);
    const stored = await waitFor(
      async () => {
        const ids = new Set((await reader.read(topic)).map(({ properties }) => properties['UNIQ_KEY'] ?? ''));
        return [...acknowledged].every((id) => ids.has(id)) && ids;
      },
      { describe: 'every acknowledged message', timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(stored.size).toBeGreaterThanOrEqual(acknowledged.size);
    await producer.close();
  }, 180_000);

  it('finds out the outcome of a transaction whose broker was away when it ended', async () => {
    const topic = uniqueName('outage');
    await client.admin.createTopic(topic, { queues: 1, type: 'TRANSACTION' });
    const producer = client.createProducer({ group: uniqueName('enduring') });
    await producer.start();
    producer.setTransactionCheck(() => Promise.resolve('commit'));
    let half = await producer.sendHalf({ topic, body: Buffer.from('half') });
    while (half.receipt.brokerName !== 'broker-b') {
      await half.rollback();
      half = await producer.sendHalf({ topic, body: Buffer.from('half') });
    }
    await stack.broker('broker-b').kill();

    await expect(half.commit()).rejects.toMatchObject({ retryable: true });

    await stack.broker('broker-b').start();
    await waitFor(
      async () =>
        (await reader.read(topic)).some(
          ({ properties }) => properties['UNIQ_KEY'] === half.receipt.messageId,
        ),
      { describe: 'the message, committed by a check', timeoutMs: 60_000, intervalMs: 200 },
    );
    await producer.close();
  }, 180_000);

  // The last ones: what ends here does not come back.
  it.runIf(isBroker5())(
    'fails no send when a master that stops sends everybody away',
    async () => {
      const topic = uniqueName('away');
      await client.admin.createTopic(topic, { queues: 2 });
      const producer = client.createProducer({ group: uniqueName('sent-away'), sendTimeoutMs: 20_000 });
      await producer.start();
      const codes = new Set<number>();
      const channels = new RemotingChannels({
        connectTimeoutMs: 3_000,
        clock: systemClock,
        log: () => undefined,
      });
      const stopped = new AbortController();
      const ask = async (): Promise<void> => {
        while (!stopped.signal.aborted) {
          await channels
            .invoke(
              stack.broker('broker-b').address,
              { code: RequestCode.GET_MAX_OFFSET, fields: { topic, queueId: 0 } },
              { timeoutMs: 2_000 },
            )
            .then(({ code }) => codes.add(code))
            .catch(() => undefined);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      const sent: Promise<unknown>[] = [];
      const send = async (): Promise<void> => {
        while (!stopped.signal.aborted) {
          const sending = producer.send({ topic, body: Buffer.from('x') });
          sent.push(sending);
          await sending.catch(() => undefined);
        }
      };
      const working = Promise.all([ask(), send(), send()]);
      await waitFor(() => codes.has(ResponseCode.SUCCESS) && sent.length > 20);

      await stack.broker('broker-b').stop();
      stopped.abort();
      await working;

      const results = await Promise.allSettled(sent);
      expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect(codes).toContain(ResponseCode.GO_AWAY);
      await channels.close();
      await producer.close();
    },
    180_000,
  );

  it('tells that a message has no second copy, or takes it for a failure when told to', async () => {
    const topic = uniqueName('alone');
    await client.admin.createTopic(topic, { queues: 1 });
    const queue = { topic, brokerName: 'broker-a', queueId: 0 };
    const message = { topic, body: Buffer.from('x') };
    const accepting = client.createProducer({ group: uniqueName('accepting'), sendTimeoutMs: 20_000 });
    const strict = client.createProducer({
      group: uniqueName('strict'),
      sendTimeoutMs: 20_000,
      onNotFullyStored: 'throw',
    });
    await accepting.start();
    await strict.start();
    await stack.broker('broker-a-slave').kill();

    const { status } = await waitFor(async () => {
      const receipt = await accepting.send(message, { queue });
      return receipt.status !== 'SEND_OK' && receipt;
    });

    expect(['SLAVE_NOT_AVAILABLE', 'FLUSH_SLAVE_TIMEOUT']).toContain(status);
    await expect(strict.send(message, { queue })).rejects.toMatchObject({ code: 'NOT_FULLY_STORED' });
    await Promise.all([accepting.close(), strict.close()]);
  }, 120_000);
});
