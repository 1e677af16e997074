import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Producer, ProducerOptions } from '../../../lib/client/producer.js';
import type { ClientOptions } from '../../../lib/client/rocketmq-client.js';
import { nameServer } from '../../support/broker.js';
import { brokerThroughProxy, TcpProxy, type ProxiedBroker } from '../../support/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('sending over a network that fails', () => {
  let healthy: SendingClient;
  let through: ProxiedBroker;
  let client: SendingClient;
  let topic: string;
  const opened: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    healthy = await SendingClient.open();
    const [broker] = await healthy.client.admin.brokers();
    topic = await healthy.topic({ queues: 2 });
    through = await brokerThroughProxy(nameServer().split(/[;,]/)[0]!, broker!.addresses.get(0)!);
    opened.push(healthy, through);
  });
  afterEach(async () => {
    // Clients first: proxies close with them.
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  async function connect(
    producerOptions: Partial<ProducerOptions> = {},
    clientOptions: Partial<ClientOptions> = {},
  ): Promise<Producer> {
    client = await SendingClient.open({ nameServer: through.nameServer, ...clientOptions });
    opened.push(client);
    const producer = await client.producer(producerOptions);
    // On its way once, so that route and connection are there.
    await producer.send({ topic, body: Buffer.from('warm') });
    return producer;
  }

  const message = (text = 'x') => ({ topic, body: Buffer.from(text) });
  const storedBodies = async () => (await healthy.reader.read(topic)).map(({ body }) => body.toString());

  it('sends again when the connection is cut while a message is on its way', async () => {
    const producer = await connect();
    // The broker stores it, the answer does not come back.
    through.broker.swallow('to-client');
    const sending = producer.send(message('cut'), { timeoutMs: 10_000 });
    await waitFor(async () => (await storedBodies()).includes('cut'), {
      describe: 'the message at the broker',
    });
    through.broker.swallow('to-client', false);
    through.broker.cut();

    const receipt = await sending;

    expect(receipt.status).toBe('SEND_OK');
    const copies = (
      await waitFor(
        async () => {
          const stored = await healthy.reader.read(topic);
          return stored.filter(({ body }) => body.toString() === 'cut').length === 2 && stored;
        },
        { describe: 'both copies' },
      )
    ).filter(({ body }) => body.toString() === 'cut');
    // The copy has the identity of the first: consumers can tell.
    expect(new Set(copies.map(({ properties }) => properties['UNIQ_KEY']))).toEqual(
      new Set([receipt.messageId]),
    );
  });

  it('sends again when the connection is cut in the middle of a frame', async () => {
    const producer = await connect({ compressAboveBytes: Infinity });
    through.broker.cutAfter(30_000, 'to-target');
    const body = Buffer.alloc(100_000, 'y');

    const receipt = await producer.send({ topic, body }, { timeoutMs: 10_000 });

    expect(receipt.status).toBe('SEND_OK');
    const large = (await healthy.reader.read(topic)).filter((stored) => stored.body.length === 100_000);
    expect(large).toHaveLength(1);
  });

  it('gives up within the deadline while the broker refuses connections, and recovers by itself', async () => {
    const producer = await connect({ sendTimeoutMs: 1_500 });
    await through.broker.refuse();
    through.broker.cut();

    await expect(producer.send(message())).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      retryable: true,
    });
    await waitFor(() => client.client.state === 'down', { describe: 'the state "down"' });

    await through.broker.accept();
    await waitFor(() => client.client.state === 'up', { describe: 'the state "up"' });
    await waitFor(() => producer.send(message('recovered')), { describe: 'a send that succeeds' });
    expect(await storedBodies()).toContain('recovered');
  });

  it('keeps the deadline while the broker answers slowly', async () => {
    const producer = await connect();
    through.broker.delay(3_000);
    const startedAt = performance.now();

    await expect(producer.send(message(), { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
    });

    expect(performance.now() - startedAt).toBeLessThan(2_900);
    through.broker.delay(0);
  });

  it('keeps one deadline over route lookup, connection and all attempts', async () => {
    const producer = await connect({ maxAttempts: 10 });
    const other = await healthy.topic();
    through.nameServerProxy.hang();
    const startedAt = performance.now();

    await expect(
      producer.send({ topic: other, body: Buffer.from('x') }, { timeoutMs: 400 }),
    ).rejects.toMatchObject({ code: 'TIMEOUT' });

    expect(performance.now() - startedAt).toBeLessThan(3_000);
    through.nameServerProxy.resume();
  });

  it('survives a half-open connection: sends time out, then go through again', async () => {
    const producer = await connect({ sendTimeoutMs: 500 });
    through.broker.hang();
    await expect(producer.send(message('lost?'))).rejects.toMatchObject({ code: 'TIMEOUT' });

    through.broker.resume();

    await waitFor(() => producer.send(message('after')), { describe: 'a send after the outage' });
    expect(await storedBodies()).toContain('after');
  });

  it('takes garbage for a broken connection and uses a new one', async () => {
    const producer = await connect();
    const acceptedBefore = through.broker.accepted;
    through.broker.injectToClients(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));

    const receipt = await producer.send(message('after garbage'), { timeoutMs: 10_000 });

    expect(receipt.status).toBe('SEND_OK');
    expect(through.broker.accepted).toBeGreaterThan(acceptedBefore);
  });

  it('goes on sending while the name server is away', async () => {
    const producer = await connect({}, { routePollIntervalMs: 100 });
    await through.nameServerProxy.refuse();
    through.nameServerProxy.cut();
    await waitFor(() => client.log.some((line) => line.includes('route')), {
      describe: 'a route poll that fails',
    });

    for (let count = 0; count < 20; count++) await producer.send(message(`without ${count}`));

    expect(client.client.state).toBe('up');
    await expect(producer.send({ topic: `${topic}-unknown`, body: Buffer.from('x') })).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
  });

  it('asks the next name server when one is away', async () => {
    const dead = await TcpProxy.start('127.0.0.1:1');
    const deadAddress = dead.address;
    await dead.close();
    const both = await SendingClient.open({ nameServer: `${deadAddress};${through.nameServer}` });
    opened.push(both);
    const producer = await both.producer();

    expect((await producer.send(message())).status).toBe('SEND_OK');
    expect(both.client.state).toBe('up');
  });

  it('says at start that no name server answers', async () => {
    await through.nameServerProxy.refuse();
    const lost = SendingClient.open({ nameServer: through.nameServer, connectTimeoutMs: 500 });
    await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_FAILED', retryable: true });
  });

  it('is known to the broker again after a cut: checks of half messages still arrive', async () => {
    const producer = await connect();
    producer.setTransactionCheck(() => Promise.resolve('commit'));
    await producer.sendHalf(message('half'));

    through.broker.cut();

    await waitFor(async () => (await storedBodies()).includes('half'), {
      describe: 'the half message, committed by a check over the new connection',
    });
  });

  it('reports a commit that does not reach the broker; the check makes up for it', async () => {
    const producer = await connect();
    let asked = 0;
    producer.setTransactionCheck(() => {
      asked++;
      return Promise.resolve('commit');
    });
    const half = await producer.sendHalf(message('half'));
    await through.broker.refuse();
    through.broker.cut();

    await expect(half.commit()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });

    await through.broker.accept();
    await waitFor(async () => (await storedBodies()).includes('half'), { describe: 'the half message' });
    expect(asked).toBeGreaterThan(0);
  });

  it('stops sends the caller aborts', async () => {
    const producer = await connect();
    through.broker.hang();
    const abort = new AbortController();
    const sending = producer.send(message(), { signal: abort.signal, timeoutMs: 20_000 });
    const failure = expect(sending).rejects.toMatchObject({ code: 'ABORTED' });
    setImmediate(() => abort.abort());
    await failure;
    await expect(producer.send(message(), { signal: abort.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    through.broker.resume();
  });

  it('limits what is in flight: the others wait for room, or for their deadline', async () => {
    const producer = await connect({ maxInFlight: 10 });
    through.broker.hang();
    const sends = Array.from({ length: 30 }, (_, index) =>
      producer.send(message(`${index}`), { timeoutMs: index < 20 ? 20_000 : 300 }),
    );
    const results = Promise.allSettled(sends);
    const late = await Promise.allSettled(sends.slice(20));
    expect(late.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
      Array.from({ length: 10 }, () => 'TOO_MANY_IN_FLIGHT'),
    );

    through.broker.resume();

    expect((await results).filter(({ status }) => status === 'fulfilled')).toHaveLength(20);
  });

  it('limits what is in flight: refuses at once when told to', async () => {
    const producer = await connect({ maxInFlight: 3, onMaxInFlight: 'throw' });
    through.broker.hang();
    const sends = Array.from({ length: 3 }, () => producer.send(message(), { timeoutMs: 20_000 }));
    await expect(producer.send(message())).rejects.toMatchObject({
      code: 'TOO_MANY_IN_FLIGHT',
      retryable: true,
    });
    through.broker.resume();
    expect(await Promise.all(sends)).toHaveLength(3);
    expect((await producer.send(message())).status).toBe('SEND_OK');
  });

  it('closes while the network hangs, within its time, and leaves no send open', async () => {
    const producer = await connect({ sendTimeoutMs: 60_000 });
    through.broker.hang();
    const sends = Promise.allSettled([producer.send(message()), producer.send(message())]);
    const startedAt = performance.now();

    await producer.close(200);
    await client.client.close();

    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect((await sends).map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'CLOSED',
      'CLOSED',
    ]);
    through.broker.resume();
  });
});
