import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../../lib/client/clock.js';
import { ClientInstance } from '../../../lib/client/remoting/client-instance.js';
import { RetryTopicSender } from '../../../lib/client/remoting/producer/retry-topic-sender.js';
import { parseNameServers } from '../../../lib/client/remoting/route/name-server.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('sending a message back through the retry topic', () => {
  let sending: SendingClient;
  let instance: ClientInstance;
  let sender: RetryTopicSender;
  let group: string;

  beforeAll(async () => {
    sending = await SendingClient.open();
    group = uniqueName('retrying');
    await sending.client.admin.createGroup(group, { retryMaxTimes: 2 });
    await sending.client.admin.createTopic(`%RETRY%${group}`, { queues: 1 });
    instance = new ClientInstance({
      nameServers: parseNameServers(nameServer()),
      clientId: uniqueName('retry-sender'),
      namespace: undefined,
      connectTimeoutMs: 3_000,
      requestTimeoutMs: 5_000,
      routePollIntervalMs: 30_000,
      heartbeatIntervalMs: 30_000,
      clock: systemClock,
      log: () => undefined,
    });
    sender = new RetryTopicSender(instance);
  });
  afterAll(async () => {
    sender.close();
    await instance.close();
    if (isBroker5()) await sending.client.admin.deleteGroup(group);
    await sending.close();
  });

  const options = { delayLevel: 1, maxReconsumeTimes: 2, timeoutMs: 5_000 };
  const inTopic = (topic: string, messageId: string) =>
    waitFor(
      async () => {
        const stored = await sending.reader.read(topic);
        return stored.findLast(({ properties }) => properties['UNIQ_KEY'] === messageId);
      },
      { describe: `message ${messageId} in ${topic}` },
    );

  it('keeps identity, body and headers, counts, and names the topic of origin', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();
    const body = Buffer.alloc(10_000, 'payload ');
    const { messageId } = await producer.send({
      topic,
      body,
      tag: 't',
      keys: ['k'],
      headers: { header: 'value' },
    });

    await sender.send(group, await inTopic(topic, messageId), options);

    const first = await inTopic(`%RETRY%${group}`, messageId);
    expect(first.body.equals(body)).toBe(true);
    expect(first.reconsumeTimes).toBe(1);
    expect(first.properties).toMatchObject({
      RETRY_TOPIC: topic,
      ORIGIN_MESSAGE_ID: messageId,
      TAGS: 't',
      KEYS: 'k',
      header: 'value',
    });

    await sender.send(group, first, options);
    const second = await waitFor(
      async () => {
        const found = await inTopic(`%RETRY%${group}`, messageId);
        return found.reconsumeTimes === 2 && found;
      },
      { describe: 'the second redelivery' },
    );
    expect(second.properties).toMatchObject({ RETRY_TOPIC: topic, ORIGIN_MESSAGE_ID: messageId });
  });

  it('lets the broker move a message to the dead letters that came back too often', async () => {
    const topic = await sending.topic();
    const producer = await sending.producer();
    const { messageId } = await producer.send({ topic, body: Buffer.from('poison') });
    const stored = await inTopic(topic, messageId);

    await sender.send(group, { ...stored, reconsumeTimes: 2 }, options);

    const dead = await inTopic(`%DLQ%${group}`, messageId);
    expect(dead.properties).toMatchObject({ RETRY_TOPIC: topic });
  });
});
