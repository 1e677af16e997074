import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { RemotingChannels } from '../../../lib/client/remoting/network/remoting-channels.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { systemClock } from '../../../lib/client/clock.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

describe('administration', () => {
  let client: RocketMQClient;
  /** Asks brokers what the admin of ours does not, to see what it did. */
  let channels: RemotingChannels;
  let masters: string[];
  const topics: string[] = [];

  beforeAll(async () => {
    client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    channels = new RemotingChannels({ connectTimeoutMs: 3_000, clock: systemClock, log: () => undefined });
    masters = (await client.admin.brokers()).map(({ addresses }) => addresses.get(0)!);
  });
  afterAll(async () => {
    if (isBroker5()) for (const topic of topics) await client.admin.deleteTopic(topic);
    await client.close();
    await channels.close();
  });

  const ask = (address: string, code: number, fields?: Record<string, string | number | boolean>) =>
    channels.invoke(address, { code, fields: fields ?? {} }, { timeoutMs: 5_000 });
  const newTopic = () => {
    const topic = uniqueName('admin');
    topics.push(topic);
    return topic;
  };
  const report = (group: string, topic: string, queueId: number, commitOffset: number, address: string) =>
    ask(address, RequestCode.UPDATE_CONSUMER_OFFSET, { consumerGroup: group, topic, queueId, commitOffset });

  it('lists the brokers and their addresses', async () => {
    const brokers = await client.admin.brokers();
    expect(brokers.length).toBeGreaterThan(0);
    for (const broker of brokers) {
      expect(broker).toEqual({
        cluster: expect.any(String),
        brokerName: expect.any(String),
        addresses: expect.any(Map),
      });
      expect(broker.addresses.get(0)).toMatch(/^.+:\d+$/);
    }
  });

  it('creates a topic on every master; it can be used as soon as the call resolves', async () => {
    const topic = newTopic();
    expect(await client.admin.topicExists(topic)).toBe(false);

    await client.admin.createTopic(topic, { queues: 3, type: 'FIFO' });

    expect(await client.admin.topicExists(topic)).toBe(true);
    expect([...(await client.admin.offsets(topic)).keys()]).toHaveLength(3 * masters.length);
    // 4.9 has no request for the configuration of one topic.
    for (const address of isBroker5() ? masters : []) {
      const config = JSON.parse(
        (await ask(address, RequestCode.GET_TOPIC_CONFIG, { topic, lo: true })).body.toString(),
      ) as Record<string, unknown>;
      expect(config).toMatchObject({ topicName: topic, readQueueNums: 3, writeQueueNums: 3, perm: 6 });
      expect(config['attributes']).toEqual({ 'message.type': 'FIFO' });
    }
  });

  it('changes a topic that exists', async () => {
    const topic = newTopic();
    await client.admin.createTopic(topic, { queues: 2 });
    await client.admin.createTopic(topic, { queues: 5 });
    await waitFor(async () => (await client.admin.offsets(topic)).size === 5 * masters.length, {
      describe: 'five queues per broker',
    });
  });

  // A 4.9 broker on Java 17 fails to unmap the files of a topic.
  it.runIf(isBroker5())(
    'deletes a topic from brokers and name servers, also one that is not there',
    async () => {
      const topic = newTopic();
      await client.admin.createTopic(topic);
      await client.admin.deleteTopic(topic);
      await waitFor(async () => !(await client.admin.topicExists(topic)), {
        describe: 'the route to go away',
      });
      await client.admin.deleteTopic(topic);
    },
  );

  it.each(['', 'a b', 'x'.repeat(128)])('refuses the topic name "%s"', async (topic) => {
    await expect(client.admin.createTopic(topic)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(client.admin.topicExists(topic)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each([0, 1.5, -1])('refuses %d queues', async (queues) => {
    await expect(client.admin.createTopic('some', { queues })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('passes on what the broker refuses', async () => {
    // The name of a system topic.
    await expect(client.admin.createTopic('SCHEDULE_TOPIC_XXXX')).rejects.toMatchObject({
      name: 'BrokerError',
      message: expect.stringContaining('SCHEDULE_TOPIC_XXXX'),
    });
  });

  it('creates and deletes a consumer group', async () => {
    const group = uniqueName('admin-group');
    await client.admin.createGroup(group, { retryMaxTimes: 5, consumeMessageOrderly: true });

    const configOf = async () => {
      const all = JSON.parse(
        (await ask(masters[0]!, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).body.toString(),
      ) as { subscriptionGroupTable: Record<string, Record<string, unknown>> };
      return all.subscriptionGroupTable[group];
    };
    const config = await configOf();
    expect(config).toMatchObject({ groupName: group, retryMaxTimes: 5, consumeEnable: true });
    if (isBroker5()) expect(config).toMatchObject({ consumeMessageOrderly: true });

    await client.admin.deleteGroup(group);
    expect(await configOf()).toBeUndefined();
  });

  it('reads lowest and highest offsets per queue', async () => {
    const topic = newTopic();
    await client.admin.createTopic(topic, { queues: 2 });
    const producer = client.createProducer({ group: uniqueName('admin-producer') });
    await producer.start();
    const { brokerName } = await producer.send({ topic, body: Buffer.from('x') });
    for (let count = 0; count < 5; count++) {
      await producer.send(
        { topic, body: Buffer.from('x') },
        { queue: { topic, brokerName, queueId: count < 2 ? 0 : 1 } },
      );
    }
    await waitFor(
      async () => {
        let sum = 0;
        for (const { min, max } of (await client.admin.offsets(topic)).values()) sum += max - min;
        return sum === 6;
      },
      { describe: 'six messages' },
    );
    await producer.close();
  });

  describe('the lag of a group', () => {
    // A 4.9 broker says of a young topic that the group stands at its beginning.
    it.runIf(isBroker5())('is not known before the group has an offset', async () => {
      const topic = newTopic();
      await client.admin.createTopic(topic, { queues: 2 });
      const lag = await client.admin.lag(uniqueName('nobody'), topic);
      expect(lag).toEqual({ total: 0, queues: new Map() });
    });

    it('counts what is behind the offsets, and all of a queue the group never touched', async () => {
      const topic = newTopic();
      const group = uniqueName('lagging');
      await client.admin.createTopic(topic, { queues: 3 });
      await client.admin.createGroup(group);
      const producer = client.createProducer({ group: uniqueName('admin-producer') });
      await producer.start();
      const { brokerName } = await producer.send({ topic, body: Buffer.from('x') });
      const address = (await client.admin.brokers())
        .find((broker) => broker.brokerName === brokerName)!
        .addresses.get(0)!;
      for (let queueId = 0; queueId < 3; queueId++) {
        const before = (await client.admin.offsets(topic)).get(`${brokerName}:${queueId}`)!.max;
        for (let count = before; count < 10; count++) {
          await producer.send({ topic, body: Buffer.from('x') }, { queue: { topic, brokerName, queueId } });
        }
      }
      await waitFor(
        async () => {
          const ofBroker = [...(await client.admin.offsets(topic))].filter(([queue]) =>
            queue.startsWith(`${brokerName}:`),
          );
          return ofBroker.every(([, { max }]) => max >= 10);
        },
        { describe: 'ten messages in every queue' },
      );
      const sent = await client.admin.offsets(topic);

      await report(group, topic, 0, 4, address);
      await report(group, topic, 1, sent.get(`${brokerName}:1`)!.max, address);

      const { total, queues } = await client.admin.lag(group, topic);
      expect(queues.get(`${brokerName}:0`)).toBe(sent.get(`${brokerName}:0`)!.max - 4);
      expect(queues.get(`${brokerName}:1`)).toBe(0);
      expect(queues.get(`${brokerName}:2`)).toBe(sent.get(`${brokerName}:2`)!.max);
      expect(total).toBe([...queues.values()].reduce((sum, lag) => sum + lag, 0));
      await producer.close();
      await client.admin.deleteGroup(group);
    });

    it('tells a group that stands at the very beginning from one that never started', async () => {
      const topic = newTopic();
      const group = uniqueName('at-zero');
      await client.admin.createTopic(topic, { queues: 1 });
      await client.admin.createGroup(group);
      const producer = client.createProducer({ group: uniqueName('admin-producer') });
      await producer.start();
      const { brokerName } = await producer.send({ topic, body: Buffer.from('x') });
      const address = (await client.admin.brokers())
        .find((broker) => broker.brokerName === brokerName)!
        .addresses.get(0)!;
      await waitFor(async () => (await client.admin.offsets(topic)).get(`${brokerName}:0`)!.max === 1, {
        describe: 'the message',
      });
      await report(group, topic, 0, 0, address);
      expect(await client.admin.lag(group, topic)).toMatchObject({ total: 1 });
      await producer.close();
      await client.admin.deleteGroup(group);
    });

    it('names a topic that does not exist', async () => {
      await expect(client.admin.lag('some-group', uniqueName('missing'))).rejects.toMatchObject({
        code: 'TOPIC_NOT_FOUND',
      });
    });
  });

  it('keeps topics and groups of a namespace apart, without the application seeing it', async () => {
    const namespace = uniqueName('ns');
    const inside = createRocketMQClient({ nameServer: nameServer(), namespace });
    await inside.start();
    const topic = uniqueName('admin');
    await inside.admin.createTopic(topic);

    expect(await inside.admin.topicExists(topic)).toBe(true);
    expect(await client.admin.topicExists(topic)).toBe(false);
    expect(await client.admin.topicExists(`${namespace}%${topic}`)).toBe(true);

    if (isBroker5()) await inside.admin.deleteTopic(topic);
    await inside.close();
  });

  it('refuses after the client was closed', async () => {
    const closed = createRocketMQClient({ nameServer: nameServer() });
    await closed.start();
    await closed.close();
    await expect(closed.admin.brokers()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(closed.start()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(closed.state).toBe('closed');
    expect(() => closed.createProducer({ group: 'g' })).toThrow(/closed/);
  });
});
