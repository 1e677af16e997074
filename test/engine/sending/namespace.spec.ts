import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('sending in a namespace', () => {
  let inside: SendingClient;
  const namespace = uniqueName('ns');

  beforeAll(async () => {
    inside = await SendingClient.open({ namespace });
  });
  afterAll(() => inside.close());

  const stored = (topic: string, count: number) =>
    waitFor(
      async () => {
        const messages = await inside.reader.read(`${namespace}%${topic}`);
        return messages.length >= count && messages;
      },
      { describe: `${count} messages in ${topic}` },
    );

  it('prefixes the topic at the broker and nowhere else', async () => {
    const topic = await inside.topic();
    const producer = await inside.producer();
    const shown: string[] = [];

    const receipt = await producer.send(
      { topic, body: Buffer.from('x'), orderingKey: 'k' },
      {
        selector: (queues) => {
          shown.push(...queues.map((queue) => queue.topic));
          return queues[0]!;
        },
      },
    );
    await producer.sendBatch([1, 2].map(() => ({ topic, body: Buffer.from('y') })));

    expect(receipt.topic).toBe(topic);
    expect(new Set(shown)).toEqual(new Set([topic]));
    const messages = await stored(topic, 3);
    expect(messages[0]!.topic).toBe(`${namespace}%${topic}`);
    expect(messages[0]!.properties['INSTANCE_ID']).toBe(namespace);
  });

  it('prefixes the group of a transaction; the check sees the plain topic', async () => {
    const topic = await inside.topic({ type: 'TRANSACTION' });
    const producer = await inside.producer();
    const asked: string[] = [];
    producer.setTransactionCheck((message) => {
      asked.push(message.topic);
      return Promise.resolve('commit');
    });

    const half = await producer.sendHalf({ topic, body: Buffer.from('told') });
    await half.commit();
    await producer.sendHalf({ topic, body: Buffer.from('asked') });

    const messages = await stored(topic, 2);
    expect(new Set(asked)).toEqual(new Set([topic]));
    expect(messages.map(({ properties }) => properties['PGROUP'])).toEqual([
      `${namespace}%${producer.group}`,
      `${namespace}%${producer.group}`,
    ]);
  });
});
