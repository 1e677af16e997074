import { describe, expect, it } from 'vitest';
import { DEAD_LETTER_REASON } from '../../lib/message/dead-letter-reason.js';
import { ACK, RETRY } from '../../lib/client/push-consumer.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { gate, message, numbered, text, useStage } from './stage.js';

export function describeOrderlyConsuming(engine: EngineUnderTest): void {
  describe('orderly consumption', () => {
    const stage = useStage(engine);

    it('handles the messages of each ordering key in order, one at a time', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const running = new Set<number>();
      let overlaps = 0;
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        handle: async ({ queueId }) => {
          if (running.has(queueId)) overlaps++;
          running.add(queueId);
          await new Promise(setImmediate);
          running.delete(queueId);
          return ACK;
        },
      });
      const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const body of numbered(20, '')) {
        await Promise.all(keys.map((orderingKey) => producer.send(message(topic, body, { orderingKey }))));
      }
      await reception.received(120);
      for (const key of keys) {
        const ofKey = reception.messages.filter(({ orderingKey }) => orderingKey === key);
        expect(ofKey.map(text)).toEqual(numbered(20, ''));
      }
      expect(overlaps).toBe(0);
    });

    it('keeps everything behind a failed message until it succeeds', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        handle: (received) => (text(received) === 'm1' && received.attempt < 3 ? RETRY : ACK),
      });
      for (const body of numbered(3)) await producer.send(message(topic, body));
      await reception.received(5);
      expect(reception.messages.map((each) => `${text(each)}/${each.attempt}`)).toEqual([
        'm0/1',
        'm1/1',
        'm1/2',
        'm1/3',
        'm2/1',
      ]);
      await reception.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('keeps what follows in a batch behind the first message that is not acknowledged', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        batchSize: 10,
        handle: (received) => (text(received) === 'm1' && received.attempt === 1 ? RETRY : ACK),
      });
      reception.consumer.pause();
      await producer.sendBatch(numbered(4).map((body) => message(topic, body)));
      reception.consumer.resume();
      await waitFor(() => reception.bodies().filter((body) => body === 'm3').length === 2);
      const lastTime = reception.bodies().lastIndexOf('m1');
      expect(reception.bodies().slice(lastTime)).toEqual(['m1', 'm2', 'm3']);
      expect(reception.bodies().filter((body) => body === 'm0')).toHaveLength(1);
      await reception.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('lets other queues go on while one waits', async () => {
      const topic = await stage().topic(2);
      const producer = await stage().producer();
      const hold = gate();
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        handle: async (received) => {
          if (text(received) === 'stuck') await hold.opened;
          return ACK;
        },
      });
      const { brokerName } = await producer.send(message(topic, 'stuck'), {
        selector: (queues) => queues[0]!,
      });
      const other = { topic, brokerName, queueId: 1 };
      for (const body of numbered(5)) await producer.send(message(topic, body), { queue: other });
      await reception.received(6);
      expect(reception.bodies().filter((body) => body !== 'stuck')).toEqual(numbered(5));
      hold.open();
    });

    it('gives a message up after its attempts, and goes on with the next', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        maxAttempts: 2,
        handle: (received) => (text(received) === 'hopeless' ? RETRY : ACK),
      });
      const receipt = await producer.send(message(topic, 'hopeless'));
      await producer.send(message(topic, 'next'));
      await reception.received(3);
      expect(reception.bodies()).toEqual(['hopeless', 'hopeless', 'next']);
      const dead = await stage().deadLetters(reception.group);
      await dead.received(1);
      expect(dead.messages[0]!.messageId).toBe(receipt.messageId);
    });

    it('puts a message aside at once when the handler says so', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        mode: 'orderly',
        handle: (received) =>
          text(received) === 'garbage' ? { action: 'dead-letter', reason: 'broken' } : ACK,
      });
      await producer.send(message(topic, 'garbage'));
      await producer.send(message(topic, 'next'));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['garbage', 'next']);
      const dead = await stage().deadLetters(reception.group);
      await dead.received(1);
      expect(dead.messages[0]!.headers).toEqual({ [DEAD_LETTER_REASON]: 'broken' });
    });

    it('hands a queue on only when nobody handles it any more, and loses and reorders nothing', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const handled: string[] = [];
      const running = new Set<number>();
      let overlaps = 0;
      const handle = async (received: { queueId: number; body: Buffer }): Promise<typeof ACK> => {
        if (running.has(received.queueId)) overlaps++;
        running.add(received.queueId);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running.delete(received.queueId);
        handled.push(`${received.queueId} ${text(received)}`);
        return ACK;
      };
      const first = await stage().consume(topic, { mode: 'orderly', handle });
      const sendRound = async (round: number): Promise<void> => {
        for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
          const body = `${key}${String(round).padStart(3, '0')}`;
          await producer.send(message(topic, body, { orderingKey: key }));
        }
      };
      for (let round = 0; round < 10; round++) await sendRound(round);
      const client = await stage().newClient();
      const second = await stage().consume(topic, { mode: 'orderly', handle, group: first.group, client });
      for (let round = 10; round < 20; round++) await sendRound(round);
      await waitFor(() => new Set(handled).size === 160);
      expect(second.messages.length).toBeGreaterThan(0);
      expect(overlaps).toBe(0);
      for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
        const ofKey = handled.map((each) => each.split(' ')[1]!).filter((body) => body.startsWith(key));
        const firstTimes = ofKey.filter((body, index) => ofKey.indexOf(body) === index);
        expect(firstTimes).toEqual(firstTimes.toSorted());
      }
    });
  });
}
