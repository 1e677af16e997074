import { afterEach, describe, expect, it } from 'vitest';

import { BrokerError } from '../../../../lib/client/broker-error.js';
import { createRocketMQClient } from '../../../../lib/client/client-factory.js';
import type { Producer, ProducerOptions } from '../../../../lib/client/producer.js';
import type { RocketMQClient } from '../../../../lib/client/rocketmq-client.js';
import { decodeProperties } from '../../../../lib/client/remoting/protocol/message-properties.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import { waitFor } from '../../../support/wait-for.js';
import { ScriptedPeer } from '../network/scripted-peer.js';
import { ScriptedBroker, ScriptedCluster } from './scripted-cluster.js';

describe('a send that fails at one broker', () => {
  let cluster: ScriptedCluster;
  let client: RocketMQClient;

  async function producerOver(brokers: string[], options: Partial<ProducerOptions> = {}): Promise<Producer> {
    cluster = await ScriptedCluster.start(...brokers);
    client = createRocketMQClient({ nameServer: cluster.nameServer.address, requestTimeoutMs: 1_000 });
    await client.start();
    const producer = client.createProducer({ group: 'producers', ...options });
    await producer.start();
    return producer;
  }
  afterEach(async () => {
    await client.close();
    await cluster.stop();
  });

  const message = { topic: 'orders', body: Buffer.from('x') };
  const uniqueKeys = () =>
    cluster.brokers.flatMap(({ sends }) =>
      sends.map(({ fields }) => decodeProperties(fields['i'] ?? '')['UNIQ_KEY']),
    );
  const brokersTried = () => cluster.brokers.filter(({ sends }) => sends.length > 0).map(({ name }) => name);

  it.each([
    ['SYSTEM_ERROR', ResponseCode.SYSTEM_ERROR],
    ['SYSTEM_BUSY', ResponseCode.SYSTEM_BUSY],
    ['SERVICE_NOT_AVAILABLE', ResponseCode.SERVICE_NOT_AVAILABLE],
    ['NO_PERMISSION', ResponseCode.NO_PERMISSION],
    ['TOPIC_NOT_EXIST', ResponseCode.TOPIC_NOT_EXIST],
    ['NO_BUYER_ID', ResponseCode.NO_BUYER_ID],
    ['NOT_IN_CURRENT_UNIT', ResponseCode.NOT_IN_CURRENT_UNIT],
  ])('goes to another broker after %s, with the same message id', async (_, code) => {
    const producer = await producerOver(['a', 'b']);
    let refusals = 0;
    for (const broker of cluster.brokers) {
      broker.onSend = () => (refusals++ === 0 ? { code, remark: 'not here' } : undefined);
    }

    const receipt = await producer.send(message);

    expect(receipt.status).toBe('SEND_OK');
    expect(brokersTried()).toEqual(['a', 'b']);
    expect(new Set(uniqueKeys())).toEqual(new Set([receipt.messageId]));
  });

  it.each([
    ['MESSAGE_ILLEGAL', ResponseCode.MESSAGE_ILLEGAL, 'msg body length over limit', 'MESSAGE_TOO_LARGE'],
    ['MESSAGE_ILLEGAL', ResponseCode.MESSAGE_ILLEGAL, 'whatever', 'BROKER_REJECTED'],
    ['TRANSACTION_FAILED', ResponseCode.TRANSACTION_FAILED, 'no', 'BROKER_REJECTED'],
    ['an unknown code', 4_711, '', 'BROKER_REJECTED'],
  ])('is not sent again after %s', async (_, code, remark, expected) => {
    const producer = await producerOver(['a', 'b']);
    for (const broker of cluster.brokers) broker.onSend = () => ({ code, remark });

    const failure: unknown = await producer.send(message).catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(BrokerError);
    expect(failure).toMatchObject({ code: expected, responseCode: code, retryable: false });
    expect(uniqueKeys()).toHaveLength(1);
  });

  it('goes to another broker when the connection breaks', async () => {
    const producer = await producerOver(['a', 'b']);
    let cuts = 0;
    for (const broker of cluster.brokers) broker.onSend = () => (cuts++ === 0 ? 'cut' : undefined);
    expect((await producer.send(message)).status).toBe('SEND_OK');
    expect(brokersTried()).toEqual(['a', 'b']);
  });

  it('leaves a broker without connection alone for a while', async () => {
    const producer = await producerOver(['a', 'b']);
    await cluster.broker('a').peer.stop();

    for (let count = 0; count < 20; count++) await producer.send(message);

    expect(cluster.broker('b').sends).toHaveLength(20);
  });

  it('tries as often as the options say, then fails with what the last broker said', async () => {
    const producer = await producerOver(['a', 'b'], { maxAttempts: 5, sendTimeoutMs: 10_000 });
    for (const broker of cluster.brokers) {
      broker.onSend = () => ({ code: ResponseCode.SYSTEM_BUSY, remark: `${broker.name} is busy` });
    }

    await expect(producer.send(message)).rejects.toMatchObject({
      code: 'BROKER_BUSY',
      retryable: true,
      message: expect.stringMatching(/[ab] is busy/),
    });
    expect(uniqueKeys()).toHaveLength(5);
  });

  it('tries the only broker again after a pause', async () => {
    const producer = await producerOver(['a']);
    cluster.broker('a').onSend = (_, count) =>
      count < 3 ? { code: ResponseCode.SYSTEM_BUSY, remark: 'busy' } : undefined;
    expect((await producer.send(message)).status).toBe('SEND_OK');
    expect(cluster.broker('a').sends).toHaveLength(3);
  });

  it('stops trying at the deadline, whatever the number of attempts', async () => {
    const producer = await producerOver(['a'], { maxAttempts: 1_000, sendTimeoutMs: 400 });
    cluster.broker('a').onSend = () => ({ code: ResponseCode.SYSTEM_BUSY, remark: 'busy' });
    const startedAt = performance.now();
    await expect(producer.send(message)).rejects.toMatchObject({ code: 'BROKER_BUSY' });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(cluster.broker('a').sends.length).toBeLessThan(20);
  });

  it('is tried once when it is ordered or has a chosen queue', async () => {
    const producer = await producerOver(['a', 'b']);
    for (const broker of cluster.brokers) broker.onSend = () => ({ code: ResponseCode.SYSTEM_BUSY });

    await expect(producer.send({ ...message, orderingKey: 'key' })).rejects.toMatchObject({
      code: 'BROKER_BUSY',
    });
    expect(uniqueKeys()).toHaveLength(1);
    await expect(
      producer.send(message, { queue: { topic: 'orders', brokerName: 'b', queueId: 1 } }),
    ).rejects.toMatchObject({ code: 'BROKER_BUSY' });
    expect(uniqueKeys()).toHaveLength(2);
  });

  it('explains a topic no broker creates', async () => {
    const producer = await producerOver(['a']);
    cluster.unknown.add('missing').add('TBW102');
    await expect(producer.send({ ...message, topic: 'missing' })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      message: expect.stringMatching(/missing.*[Cc]reate/s),
    });
  });

  it('explains a topic that takes no messages', async () => {
    const producer = await producerOver(['a']);
    cluster.perm = 4;
    await expect(producer.send(message)).rejects.toMatchObject({ code: 'NO_WRITABLE_QUEUE' });
    cluster.perm = 6;
    cluster.broker('a').onSend = () => ({
      code: ResponseCode.NO_PERMISSION,
      remark: 'the topic[orders] sending message is forbidden',
    });
    await expect(producer.send(message)).rejects.toMatchObject({ code: 'NO_WRITABLE_QUEUE' });
    cluster.broker('a').onSend = () => ({
      code: ResponseCode.NO_PERMISSION,
      remark: 'User rmq has no permission',
    });
    await expect(producer.send(message)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  it('refuses a timer message for a 4.x broker before it leaves', async () => {
    const producer = await producerOver(['a']);
    const { peer } = cluster.broker('a');
    const script = peer.script;
    peer.script = (request, connection) =>
      script(request, {
        ...connection,
        answer: (to, parts) => {
          // What a 4.9.7 broker declares in every header.
          const text = JSON.stringify({ code: 0, version: 407, opaque: to.opaque, flag: 1, ...parts });
          const header = Buffer.from(text);
          const prefix = Buffer.alloc(8);
          prefix.writeInt32BE(header.length + 4, 0);
          prefix.writeInt32BE(header.length, 4);
          connection.socket.write(Buffer.concat([prefix, header]));
        },
      });
    await expect(producer.send({ ...message, delivery: { afterMs: 1_000 } })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('delay levels'),
    });
    expect(uniqueKeys()).toEqual([]);
  });

  describe('when the broker stored it, but not as safely as it should', () => {
    const half = { code: ResponseCode.FLUSH_SLAVE_TIMEOUT };

    it.each([
      [ResponseCode.FLUSH_DISK_TIMEOUT, 'FLUSH_DISK_TIMEOUT'],
      [ResponseCode.FLUSH_SLAVE_TIMEOUT, 'FLUSH_SLAVE_TIMEOUT'],
      [ResponseCode.SLAVE_NOT_AVAILABLE, 'SLAVE_NOT_AVAILABLE'],
    ])('shows code %i as %s by default, and sends nothing again', async (code, status) => {
      const producer = await producerOver(['a', 'b']);
      for (const broker of cluster.brokers) broker.onSend = () => ({ code });
      expect((await producer.send(message)).status).toBe(status);
      expect(uniqueKeys()).toHaveLength(1);
    });

    it('fails with NOT_FULLY_STORED when told to, naming the status', async () => {
      const producer = await producerOver(['a'], { onNotFullyStored: 'throw' });
      cluster.broker('a').onSend = () => half;
      await expect(producer.send(message)).rejects.toMatchObject({
        code: 'NOT_FULLY_STORED',
        retryable: true,
        message: expect.stringContaining('FLUSH_SLAVE_TIMEOUT'),
      });
    });

    it('tries another broker when told to', async () => {
      const producer = await producerOver(['a', 'b'], { onNotFullyStored: 'retry' });
      let count = 0;
      for (const broker of cluster.brokers) broker.onSend = () => (count++ === 0 ? half : undefined);
      const receipt = await producer.send(message);
      expect(receipt.status).toBe('SEND_OK');
      expect(uniqueKeys()).toEqual([receipt.messageId, receipt.messageId]);
    });

    it('is content with what was stored when no other broker does better', async () => {
      const producer = await producerOver(['a', 'b'], { onNotFullyStored: 'retry', maxAttempts: 2 });
      let count = 0;
      for (const broker of cluster.brokers) {
        broker.onSend = () => (count++ === 0 ? half : { code: ResponseCode.SYSTEM_ERROR });
      }
      expect((await producer.send(message)).status).toBe('FLUSH_SLAVE_TIMEOUT');
    });
  });

  describe('latency-aware', () => {
    it('passes over a broker that answers slowly', async () => {
      const producer = await producerOver(['slow', 'fast'], { latencyAware: true, sendTimeoutMs: 5_000 });
      const slow = cluster.broker('slow');
      const { script } = slow.peer;
      slow.peer.script = (request, connection) => {
        setTimeout(() => script(request, connection), 700);
      };
      await waitFor(
        async () => {
          await producer.send(message);
          return slow.sends.length > 0;
        },
        { describe: 'a send to the slow broker' },
      );

      for (let count = 0; count < 20; count++) await producer.send(message);

      expect(slow.sends).toHaveLength(1);
    });

    it('passes over a broker that refuses', async () => {
      const producer = await producerOver(['busy', 'idle'], { latencyAware: true });
      cluster.broker('busy').onSend = () => ({ code: ResponseCode.SYSTEM_BUSY });
      for (let count = 0; count < 20; count++) await producer.send(message);
      expect(cluster.broker('busy').sends).toHaveLength(1);
      expect(cluster.broker('idle').sends).toHaveLength(20);
    });

    it('still uses the only broker there is', async () => {
      const producer = await producerOver(['busy'], { latencyAware: true });
      cluster.broker('busy').onSend = (_, count) =>
        count === 1 ? { code: ResponseCode.SYSTEM_BUSY } : undefined;
      expect((await producer.send(message)).status).toBe('SEND_OK');
    });
  });

  it('looks the route up again after a failure, and finds a broker that has moved', async () => {
    const producer = await producerOver(['a']);
    await producer.send({ ...message, orderingKey: 'key' });
    const moved = new ScriptedBroker('a', await ScriptedPeer.start());
    const old = cluster.brokers.splice(0, 1, moved)[0]!;
    await old.peer.stop();

    await expect(producer.send({ ...message, orderingKey: 'key' })).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });

    await waitFor(() => producer.send({ ...message, orderingKey: 'key' }), {
      describe: 'a send to the new address',
      timeoutMs: 5_000,
    });
    expect(moved.sends.length).toBeGreaterThan(0);
  });

  it('does not flood the name server when sends fail', async () => {
    const producer = await producerOver(['a'], { maxAttempts: 1 });
    await producer.send(message);
    await cluster.broker('a').peer.stop();
    const before = cluster.nameServer.requests.length;
    await Promise.allSettled(Array.from({ length: 500 }, () => producer.send(message)));
    expect(cluster.nameServer.requests.length - before).toBeLessThan(10);
  });

  it('waits for room, answers and pauses under one signal for all, without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const producer = await producerOver(['a'], { maxInFlight: 20 });
    cluster.broker('a').onSend = (_request, count) =>
      count <= 20 ? { code: ResponseCode.SYSTEM_BUSY, remark: 'later' } : undefined;
    const { signal } = new AbortController();
    const sends = Array.from({ length: 40 }, () => producer.send(message, { signal, timeoutMs: 30_000 }));
    expect(await Promise.all(sends)).toHaveLength(40);
    // Warnings come with the next tick.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('sends a half message once, whatever the policy for what is not fully stored', async () => {
    const producer = await producerOver(['a', 'b'], { onNotFullyStored: 'retry' });
    producer.setTransactionCheck(() => Promise.resolve('unknown'));
    for (const broker of cluster.brokers) broker.onSend = () => ({ code: ResponseCode.FLUSH_SLAVE_TIMEOUT });
    expect((await producer.sendHalf(message)).receipt.status).toBe('FLUSH_SLAVE_TIMEOUT');
    expect(uniqueKeys()).toHaveLength(1);
  });

  it('sends a one-way message to a broker without waiting', async () => {
    const producer = await producerOver(['a']);
    cluster.broker('a').onSend = () => 'silence';
    await producer.sendOneWay(message);
    await waitFor(() => cluster.broker('a').sends.length === 1, { describe: 'the one-way message' });
  });

  it('writes the header fields Java writes', async () => {
    const producer = await producerOver(['a']);
    await producer.send({ ...message, tag: 't' });
    await producer.sendBatch([message, message]);
    const [single, batch] = cluster.broker('a').sends;
    expect(single!.fields).toEqual({
      a: 'producers',
      b: 'orders',
      c: 'TBW102',
      d: '4',
      e: expect.stringMatching(/^[01]$/),
      f: '0',
      g: expect.stringMatching(/^\d{13}$/),
      h: '0',
      i: expect.stringContaining('TAGS\u0001t\u0002'),
      n: 'a',
    });
    expect(batch!.fields).toMatchObject({ m: 'true', f: '0' });
  });
});
