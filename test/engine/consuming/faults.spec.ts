import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../../lib/client/clock.js';
import { ACK, RETRY } from '../../../lib/client/push-consumer.js';
import { SendBack } from '../../../lib/client/consumer/send-back.js';
import { ConsumerRequests } from '../../../lib/client/remoting/consumer/consumer-requests.js';
import { ClientInstance } from '../../../lib/client/remoting/client-instance.js';
import { RetryTopicSender } from '../../../lib/client/remoting/producer/retry-topic-sender.js';
import { numberField, parseQueueMap } from '../../../lib/client/remoting/protocol/queue-map.js';
import { toReceivedMessage } from '../../../lib/client/remoting/protocol/received-message.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import type { StoredMessage } from '../../../lib/client/remoting/protocol/stored-message.js';
import type { ReceivedMessage } from '../../../lib/message/message.js';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { brokerThroughProxy, type ProxiedBroker } from '../../support/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, text, useScenario } from './scenario.js';

describe('consuming in bad weather', () => {
  const scenario = useScenario();
  let proxied: ProxiedBroker;
  const unhandled: unknown[] = [];
  const remember = (reason: unknown): void => void unhandled.push(reason);

  beforeEach(async () => {
    const [broker] = await (await scenario().observer()).admin.brokers();
    proxied = await brokerThroughProxy(nameServer(), broker!.addresses.get(0)!);
    unhandled.length = 0;
    process.on('unhandledRejection', remember);
  });
  afterEach(async () => {
    await scenario().close();
    await proxied.close();
    process.off('unhandledRejection', remember);
    expect(unhandled).toEqual([]);
  });

  it('goes on after its connection was cut, again and again, and loses nothing', async () => {
    await scenario().createTopic();
    const { bodies, consumer, eventsOf } = await scenario().consume({
      client: { nameServer: proxied.nameServer },
    });
    const sent: string[] = [];
    const describe = (): string =>
      [
        `${new Set(bodies()).size} of ${sent.length} messages`,
        consumer.assignment().join(),
        ...eventsOf('error').map(({ context, error }) => `${context}: ${error.message}`),
      ].join('\n');
    for (let round = 0; round < 5; round++) {
      sent.push(...(await scenario().sendMany(50, `${round}-`)));
      await waitFor(() => bodies().length > round * 40, { describe });
      proxied.broker.cut();
    }
    await waitFor(() => new Set(bodies()).size === sent.length, { describe });
    await waitFor(async () => (await scenario().lag()) === 0, { describe });
  });

  it('goes on after a cut in the middle of a frame', async () => {
    await scenario().createTopic(1);
    const { bodies } = await scenario().consume({ client: { nameServer: proxied.nameServer } });
    proxied.broker.cutAfter(700, 'to-client');
    await scenario().sendMany(100);
    await waitFor(() => new Set(bodies()).size === 100);
  });

  it('notices a half-open connection and goes on over a new one', async () => {
    await scenario().createTopic(1);
    const { bodies, eventsOf } = await scenario().consume({
      longPollingMs: 500,
      // Ten times as fast, so that nobody waits 15 s for an answer.
      client: { nameServer: proxied.nameServer, clock: acceleratedClock(10) },
    });
    await scenario().send('before');
    await waitFor(() => bodies().length === 1);
    proxied.broker.swallow('to-client');
    await scenario().send('meanwhile');
    await waitFor(() => eventsOf('error').some(({ context }) => context.startsWith('pulling ')));
    proxied.broker.swallow('to-client', false);
    await waitFor(() => bodies().includes('meanwhile'));
  });

  it('goes on without its name server', async () => {
    await scenario().createTopic();
    const { bodies } = await scenario().consume({
      client: { nameServer: proxied.nameServer, routePollIntervalMs: 100 },
      rebalanceIntervalMs: 100,
    });
    await proxied.nameServerProxy.refuse();
    proxied.nameServerProxy.cut();
    await scenario().sendMany(40);
    await waitFor(() => bodies().length === 40);
    await waitFor(async () => (await scenario().lag()) === 0);
  });

  it('keeps a message nobody can be told about, and gives it back when the broker is there again', async () => {
    await scenario().createTopic(1);
    const { deliveries, eventsOf } = await scenario().consume({
      client: { nameServer: proxied.nameServer, clock: acceleratedClock(10) },
      handle: async ({ messages }) => {
        if (messages[0]!.attempt > 1) return ACK;
        await proxied.broker.refuse();
        proxied.broker.cut();
        return RETRY;
      },
    });
    await scenario().send('message');
    await waitFor(() => eventsOf('error').some(({ context }) => context === 'giving messages back'));
    await waitFor(() => deliveries.length === 2);
    expect(deliveries.map(({ messages }) => messages[0]!.attempt)).toEqual([1, 2]);
    await proxied.broker.accept();
    await waitFor(async () => (await scenario().lag()) === 0);
  });

  it('closes in time while the broker does not answer', async () => {
    await scenario().createTopic();
    const { consumer, client, bodies } = await scenario().consume({
      client: { nameServer: proxied.nameServer, clock: acceleratedClock(10) },
    });
    await scenario().send('message');
    await waitFor(() => bodies().length === 1);
    proxied.broker.hang();
    await consumer.close(100);
    await client.close();
    proxied.broker.resume();
  });

  it('stops an orderly handler when its lock went to another member', async () => {
    await scenario().createTopic(1);
    const { deliveries, client, consumer } = await scenario().consume({
      mode: 'orderly',
      // Locks are renewed every 20 s.
      client: { clock: acceleratedClock(10) },
      handle: ({ context }) =>
        new Promise((resolve) =>
          context.signal.addEventListener('abort', () => resolve(ACK), { once: true }),
        ),
    });
    await scenario().sendMany(3);
    await waitFor(() => deliveries.length === 1);
    const { topic, group } = scenario();
    const mqSet = [{ topic, brokerName: 'broker-a', queueId: 0 }];
    const lockBody = (clientId: string) => ({ consumerGroup: group, clientId, onlyThisBroker: false, mqSet });
    await scenario().request(RequestCode.UNLOCK_BATCH_MQ, {}, { body: lockBody(client.clientId) });
    await scenario().request(RequestCode.LOCK_BATCH_MQ, {}, { body: lockBody('somebody-else') });
    await waitFor(() => deliveries[0]!.context.signal.aborted);
    // Its late ACK counts for nothing, and it stays without the queue.
    expect(consumer.assignment().filter((name) => name.startsWith(topic))).toEqual([]);
    expect(await scenario().lag()).toBe(3);
    await scenario().request(RequestCode.UNLOCK_BATCH_MQ, {}, { body: lockBody('somebody-else') });
    await waitFor(() => deliveries.length === 2);
    expect(text(deliveries[1]!.messages[0]!)).toBe('0');
  });

  it('begins anew where the broker says, when an older broker resets the group through its clients', async () => {
    await scenario().createTopic(1);
    const { topic, group } = scenario();
    const { bodies } = await scenario().consume({ client: { nameServer: proxied.nameServer } });
    await scenario().sendMany(8);
    await waitFor(() => bodies().length === 8);
    const body = Buffer.from(`{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"${topic}"}:5}}`);
    proxied.broker.injectToClients(
      frame(
        {
          code: RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
          extFields: { topic, group, timestamp: '0', isForce: 'true' },
        },
        body,
      ),
    );
    await waitFor(() => bodies().length === 11);
    expect(bodies().slice(8)).toEqual(bodies().slice(5, 8));
  });

  it('tells the broker where it stands', async () => {
    await scenario().createTopic(1);
    const { topic, group } = scenario();
    const { bodies, client } = await scenario().consume();
    await scenario().sendMany(8);
    await waitFor(() => bodies().length === 8);
    const status = await scenario().request(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, {
      topic,
      group,
      clientAddr: '',
    });
    expect(status.body.toString()).toContain(client.clientId);
    expect(status.body.toString()).toMatch(/:8\b/);
  });

  it.each(['concurrent', 'orderly'] as const)('shows operators what it is doing, %s', async (mode) => {
    await scenario().createTopic(1);
    const { topic, group } = scenario();
    const hold = gate();
    const { client, deliveries } = await scenario().consume({
      mode,
      handle: async () => {
        await hold.opened;
        return ACK;
      },
    });
    await scenario().sendMany(8);
    await waitFor(() => deliveries.length > 0);
    const info = await waitFor(async () => {
      const { body } = await scenario().request(RequestCode.GET_CONSUMER_RUNNING_INFO, {
        consumerGroup: group,
        clientId: client.clientId,
        jstackEnable: false,
      });
      const [queue] = parseQueueMap(body, 'mqTable').filter((entry) => entry.queue.topic === topic);
      return queue && numberField(queue.value, 'cachedMsgCount') === 8 && { body: body.toString(), queue };
    });
    expect(info.body).toContain('"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"');
    expect(info.body).toContain(`"PROP_CONSUMEORDERLY":"${mode === 'orderly'}"`);
    expect(info.body).toMatch(new RegExp(`"subscriptionSet":\\[.*"topic":"${topic}"`));
    expect(info.queue.value).toMatchObject({
      commitOffset: 0,
      cachedMsgMinOffset: 0,
      cachedMsgMaxOffset: 7,
      dropped: false,
      locked: mode === 'orderly',
    });
    expect(numberField(info.queue.value, 'lastConsumeTimestamp')).toBeGreaterThan(0);
    hold.open();
  });

  it('gives a message back through the retry topic when the broker cannot find it', async () => {
    await scenario().createTopic(1);
    const { deliveries } = await scenario().consume();
    await scenario().send({ body: Buffer.from('detour'), tag: 't', keys: ['k'], headers: { h: 'v' } });
    await waitFor(() => deliveries.length === 1);
    const [first] = deliveries[0]!.messages;
    const instance = instanceWith(nameServer());
    try {
      const sender = new RetryTopicSender(instance);
      const sendBack = new SendBack(
        {
          sendBack: () => Promise.reject(new Error('no such message')),
          sendToRetryTopic: (message, options) =>
            sender.send(scenario().group, message, { ...options, timeoutMs: 5_000 }),
        },
        16,
      );
      const stored = storedLike(first!);
      const message = toReceivedMessage(stored, 'broker-a');
      await sendBack.send({ message, stored, offset: 0, state: 'handed', position: 0 }, 1);
      await waitFor(() => deliveries.length === 2);
      expect(deliveries[1]!.messages[0]).toMatchObject({
        topic: scenario().topic,
        attempt: 2,
        tag: 't',
        keys: ['k'],
        headers: { h: 'v' },
        messageId: first!.messageId,
      });
      // Too often: the same way leads to the dead letters.
      await sendBack.send(
        { message: { ...message, attempt: 17 }, stored, offset: 0, state: 'handed', position: 0 },
        0,
      );
      const dead = await scenario().deadLetters();
      await waitFor(() => dead.bodies().length === 1);
      sender.close();
    } finally {
      await instance.close();
    }
  });

  it('asks a broker it has no address of, and says so', async () => {
    const instance = instanceWith(nameServer());
    try {
      const requests = new ConsumerRequests(instance, 'group');
      await expect(
        requests.maxOffset({ topic: 'orders', brokerName: 'unknown', queueId: 0 }),
      ).rejects.toMatchObject({ code: 'CONNECTION_FAILED', retryable: true });
    } finally {
      await instance.close();
    }
  });
});

/** Time passes that much quicker. */
function acceleratedClock(factor: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * factor,
    setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms / factor),
    clearTimeout: (timer) => systemClock.clearTimeout(timer),
  };
}

/** A one-way request as a broker sends it, with a JSON header. */
function frame(header: { code: number; extFields: Record<string, string> }, body: Buffer): Buffer {
  const json = Buffer.from(
    JSON.stringify({
      language: 'JAVA',
      version: 399,
      opaque: 1,
      flag: 2,
      serializeTypeCurrentRPC: 'JSON',
      ...header,
    }),
  );
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + json.length + body.length, 0);
  head.writeInt32BE(json.length, 4);
  return Buffer.concat([head, json, body]);
}

function instanceWith(address: string): ClientInstance {
  return new ClientInstance({
    nameServers: [address],
    clientId: uniqueName('instance'),
    namespace: undefined,
    connectTimeoutMs: 3_000,
    requestTimeoutMs: 5_000,
    routePollIntervalMs: 30_000,
    heartbeatIntervalMs: 30_000,
    clock: systemClock,
    log: () => undefined,
  });
}

function storedLike(message: ReceivedMessage): StoredMessage {
  return {
    ...message,
    flag: 0,
    commitLogOffset: 0,
    sysFlag: 0,
    reconsumeTimes: message.attempt - 1,
    preparedTransactionOffset: 0,
    bodyCrc: 0,
    storeSize: 0,
  };
}
