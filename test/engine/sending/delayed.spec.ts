import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DeliveryTime } from '../../../lib/message/message.js';
import type { Producer } from '../../../lib/client/producer.js';
import { isBroker5 } from '../../support/broker.js';
import { waitFor } from '../../support/wait-for.js';
import { SendingClient } from './sending-client.js';

describe('delayed messages', () => {
  let sending: SendingClient;
  let producer: Producer;

  beforeAll(async () => {
    sending = await SendingClient.open();
    producer = await sending.producer();
  });
  afterAll(() => sending.close());

  /** How long after it was sent the message became visible. */
  async function visibleAfter(topic: string, delivery: DeliveryTime): Promise<number> {
    const sentAt = Date.now();
    await producer.send({ topic, body: Buffer.from('later'), delivery });
    const [stored] = await waitFor(
      async () => {
        const messages = await sending.reader.read(topic);
        return messages.length > 0 && messages;
      },
      { describe: `the delayed message in ${topic}` },
    );
    expect(stored!.body.toString()).toBe('later');
    expect(stored!.properties['UNIQ_KEY']).toBeDefined();
    return Date.now() - sentAt;
  }

  it.each([1, 5])('holds back a message of delay level %i', async (level) => {
    const topic = await sending.topic({ type: 'DELAY' });
    // 1 s and 2 s in the test configuration, which the store adds nothing to that would make it early.
    expect(await visibleAfter(topic, { level })).toBeGreaterThanOrEqual(level === 1 ? 900 : 1_900);
  });

  it('knows all 18 levels', async () => {
    const topic = await sending.topic({ type: 'DELAY' });
    const levels = Array.from({ length: 18 }, (_, index) => index + 1);
    for (const level of levels) {
      await producer.send({ topic, body: Buffer.from(`${level}`), delivery: { level } });
    }
    // The longest takes 6 s in the test configuration.
    const stored = await waitFor(
      async () => {
        const messages = await sending.reader.read(topic);
        return messages.length === levels.length && messages;
      },
      { timeoutMs: 60_000, intervalMs: 250, describe: 'a message of every level' },
    );
    expect(stored.map(({ body }) => Number(body.toString())).sort((x, y) => x - y)).toEqual(levels);
  });

  it('refuses a level that does not exist', async () => {
    await expect(
      producer.send({ topic: 'any', body: Buffer.from('x'), delivery: { level: 19 } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  describe.runIf(isBroker5())('with a timer (RocketMQ 5)', () => {
    it('delivers after any number of milliseconds', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      expect(await visibleAfter(topic, { afterMs: 1_700 })).toBeGreaterThanOrEqual(1_500);
    });

    it('delivers at a point in time', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      const at = Date.now() + 1_500;
      await visibleAfter(topic, { at });
      expect(Date.now()).toBeGreaterThanOrEqual(at - 200);
    });

    it('delivers at once when the time is past', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      expect(await visibleAfter(topic, { at: Date.now() - 60_000 })).toBeLessThan(10_000);
    });

    it('withdraws a message that is not yet due', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      const recalled = await producer.send({
        topic,
        body: Buffer.from('recalled'),
        delivery: { afterMs: 3_000 },
      });
      expect(recalled.recallHandle).toBeDefined();

      expect(await producer.recall(topic, recalled.recallHandle!)).toBe(recalled.messageId);

      // A later one marks the moment at which the recalled one would have been there.
      const after = await producer.send({ topic, body: Buffer.from('kept'), delivery: { afterMs: 5_000 } });
      const stored = await waitFor(
        async () => {
          const messages = await sending.reader.read(topic);
          return messages.some(({ properties }) => properties['UNIQ_KEY'] === after.messageId) && messages;
        },
        { describe: 'the message after the recalled one', timeoutMs: 30_000 },
      );
      expect(stored.map(({ body }) => body.toString())).toEqual(['kept']);
    });

    it('recalls what another client sent', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      const { recallHandle, messageId } = await producer.send({
        topic,
        body: Buffer.from('x'),
        delivery: { afterMs: 30_000 },
      });
      const other = await SendingClient.open();
      const otherProducer = await other.producer();
      expect(await otherProducer.recall(topic, recallHandle!)).toBe(messageId);
      await other.close();
    });

    it('refuses a recall handle that is none', async () => {
      await expect(producer.recall('any', 'nonsense')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });

    it('says what is wrong with a delay beyond the limit of the broker', async () => {
      const topic = await sending.topic({ type: 'DELAY' });
      await expect(
        producer.send({ topic, body: Buffer.from('x'), delivery: { afterMs: 100 * 24 * 3_600_000 } }),
      ).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('timerMaxDelaySec'),
      });
    });
  });

  it.runIf(!isBroker5())('refuses a timer message that a 4.x broker would deliver at once', async () => {
    const topic = await sending.topic();
    await expect(
      producer.send({ topic, body: Buffer.from('x'), delivery: { afterMs: 60_000 } }),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await sending.reader.read(topic)).toEqual([]);
  });
});
