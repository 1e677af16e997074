import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../lib/client/clock.js';
import { RemotingChannels } from '../../lib/client/remoting/network/remoting-channels.js';
import { encodeBatch } from '../../lib/client/remoting/protocol/batch-encoder.js';
import { compress, ZLIB_SYS_FLAG } from '../../lib/client/remoting/protocol/compression.js';
import { decodeMessages, type StoredMessage } from '../../lib/client/remoting/protocol/message-decoder.js';
import { encodeProperties } from '../../lib/client/remoting/protocol/message-properties.js';
import { PullSysFlag } from '../../lib/client/remoting/protocol/pull-sys-flag.js';
import { toReceivedMessage } from '../../lib/client/remoting/protocol/received-message.js';
import type { HeaderFields, RemotingCommand } from '../../lib/client/remoting/protocol/remoting-command.js';
import { RequestCode } from '../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../lib/client/remoting/protocol/response-code.js';
import { AUTO_CREATE_TOPIC } from '../../lib/client/remoting/protocol/route-data.js';
import {
  decodeOffsetMessageId,
  encodeOffsetMessageId,
  UniqueKeyGenerator,
} from '../../lib/client/remoting/protocol/unique-key.js';
import { NameServerClient, parseNameServers } from '../../lib/client/remoting/route/name-server.js';
import { RouteTable } from '../../lib/client/remoting/route/route-table.js';
import { nameServer } from '../support/broker.js';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';

const TIMEOUT_MS = 10_000;
const log = (): void => undefined;

let channels: RemotingChannels;
let names: NameServerClient;
let routes: RouteTable;

beforeAll(() => {
  channels = new RemotingChannels({ connectTimeoutMs: 5_000, clock: systemClock, log });
  names = new NameServerClient(channels, parseNameServers(nameServer()), {
    requestTimeoutMs: TIMEOUT_MS,
    clock: systemClock,
    log,
  });
  routes = new RouteTable(names, { pollIntervalMs: 1_000, clock: systemClock, log });
});

afterAll(async () => {
  routes.close();
  await channels.close();
});

describe('a name server', () => {
  it('lists the brokers of its cluster', async () => {
    const { brokers, clusters } = await names.clusterInfo();
    expect(brokers.length).toBeGreaterThan(0);
    for (const { cluster, brokerName, brokerAddrs } of brokers) {
      expect(clusters.get(cluster)).toContain(brokerName);
      expect([...brokerAddrs.values()].every((address) => /:\d+$/.test(address))).toBe(true);
    }
  });

  it('knows the route of the topic that new ones are made after', async () => {
    const route = await names.topicRoute(AUTO_CREATE_TOPIC);
    expect(route.queueDatas.length).toBeGreaterThan(0);
    expect(route.brokerDatas.map(({ brokerName }) => brokerName)).toEqual(
      expect.arrayContaining(route.queueDatas.map(({ brokerName }) => brokerName)),
    );
  });

  it('says so when a topic does not exist', async () => {
    await expect(names.topicRoute(uniqueName('nowhere'))).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      responseCode: ResponseCode.TOPIC_NOT_EXIST,
    });
  });

  it('that is down is passed over', async () => {
    const some = new NameServerClient(channels, ['127.0.0.1:1', ...parseNameServers(nameServer())], {
      requestTimeoutMs: TIMEOUT_MS,
      clock: systemClock,
      log,
    });
    for (let round = 0; round < 4; round++) await some.ping();
  });
});

describe('messages written by this client', () => {
  const keys = new UniqueKeyGenerator();

  /** Creates the topic on the way, as a producer does. */
  async function send(
    topic: string,
    body: Buffer,
    properties: Record<string, string>,
    more: HeaderFields = {},
  ): Promise<RemotingCommand> {
    const { queues } = await routes.publishQueues(topic, { autoCreate: true });
    const address = routes.masterAddress(queues[0]!.brokerName)!;
    const fields: HeaderFields = {
      a: 'wire-test',
      b: topic,
      c: AUTO_CREATE_TOPIC,
      d: 4,
      e: 0,
      f: 0,
      g: Date.now(),
      h: 0,
      i: encodeProperties(properties),
      j: 0,
      k: false,
      m: false,
      n: queues[0]!.brokerName,
      ...more,
    };
    const code = more['m'] === true ? RequestCode.SEND_BATCH_MESSAGE : RequestCode.SEND_MESSAGE_V2;
    const response = await channels.invoke(address, { code, fields, body }, { timeoutMs: TIMEOUT_MS });
    expect(response).toMatchObject({ code: ResponseCode.SUCCESS });
    return response;
  }

  async function pullAll(topic: string, count: number): Promise<StoredMessage[]> {
    const [queue] = await waitFor(() => routes.subscribeQueues(topic));
    const address = routes.masterAddress(queue!.brokerName)!;
    return waitFor(async () => {
      const response = await channels.invoke(
        address,
        {
          code: RequestCode.PULL_MESSAGE,
          fields: {
            consumerGroup: 'wire-test',
            topic,
            queueId: 0,
            queueOffset: 0,
            maxMsgNums: 32,
            sysFlag: PullSysFlag.SUBSCRIPTION,
            commitOffset: 0,
            suspendTimeoutMillis: 0,
            subscription: '*',
            subVersion: 0,
            expressionType: 'TAG',
          },
        },
        { timeoutMs: TIMEOUT_MS },
      );
      const messages = decodeMessages(response.body).map((message) => {
        if (message.error !== undefined) throw message.error;
        return message;
      });
      return messages.length >= count && messages;
    });
  }

  it('come back as they were: properties, body, compression, ids, hosts', async () => {
    const topic = uniqueName('wire');
    const properties = {
      UNIQ_KEY: keys.next(),
      TAGS: 'created',
      KEYS: 'k1 k2',
      shop: 'Köln 🚀',
      WAIT: 'true',
    };
    const plain = await send(topic, Buffer.from('plain'), properties);
    const large = Buffer.from('compressible '.repeat(1_000));
    await send(topic, compress(large), { ...properties, UNIQ_KEY: keys.next() }, { f: ZLIB_SYS_FLAG });

    const [first, second] = await pullAll(topic, 2);
    expect(toReceivedMessage(first!, 'broker')).toMatchObject({
      topic,
      tag: 'created',
      keys: ['k1', 'k2'],
      messageId: properties.UNIQ_KEY,
      offsetMessageId: plain.fields['msgId'],
      headers: { shop: 'Köln 🚀' },
      attempt: 1,
      queueId: 0,
      queueOffset: 0,
    });
    expect(first?.body.toString()).toBe('plain');
    expect(second?.body.equals(large)).toBe(true);
    const where = decodeOffsetMessageId(first!.offsetMessageId);
    expect(where).toEqual({ address: first!.storeHost, commitLogOffset: first!.commitLogOffset });
    expect(encodeOffsetMessageId(first!.storeHost, first!.commitLogOffset)).toBe(first!.offsetMessageId);
  });

  it('come back one by one when they went as a batch', async () => {
    const topic = uniqueName('wire');
    await send(topic, Buffer.from('creates the topic'), { UNIQ_KEY: keys.next() });
    const batch = Array.from({ length: 5 }, (_, index) => ({
      flag: 0,
      body: Buffer.from(`part ${index}`),
      properties: encodeProperties({ UNIQ_KEY: keys.next(), n: String(index) }),
    }));
    await send(topic, encodeBatch(batch), {}, { m: true });
    const messages = await pullAll(topic, 6);
    expect(messages.slice(1).map(({ body, properties }) => [body.toString(), properties['n']])).toEqual(
      batch.map(({ body }, index) => [body.toString(), String(index)]),
    );
  });

  it('make the topic, whose queues replace the borrowed ones', async () => {
    const topic = uniqueName('wire');
    const changed: string[] = [];
    const remove = routes.onChange((name) => changed.push(name));
    const before = await routes.publishQueues(topic, { autoCreate: true });
    expect(before).toMatchObject({ topic, autoCreated: true });
    await expect(routes.publishQueues(topic, { autoCreate: false })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
    await send(topic, Buffer.from('x'), { UNIQ_KEY: keys.next() });
    await waitFor(() => routes.cachedPublishInfo(topic)?.autoCreated === false);
    expect(changed.filter((name) => name === topic).length).toBeGreaterThanOrEqual(2);
    remove();
  });
});
