import { describe, expect, it } from 'vitest';
import { ACK } from '../../lib/client/push-consumer.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { gate, message, numbered, queueName, refusal, text, useStage } from './stage.js';

export function describeConcurrentConsuming(engine: EngineUnderTest): void {
  describe('concurrent consumption', () => {
    const stage = useStage(engine);

    it('hands over every message once and acknowledges all of them', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const bodies = numbered(200);
      await Promise.all(bodies.map((body) => producer.send(message(topic, body))));
      await reception.received(200);
      await reception.consumer.close();
      expect(reception.bodies().sort()).toEqual(bodies.sort());
      expect(await stage().lag(reception.group, topic)).toBe(0);
      const successor = await stage().consume(topic, { group: reception.group });
      await producer.send(message(topic, 'new'));
      await successor.received(1);
      expect(successor.bodies()).toEqual(['new']);
    });

    it('runs as many handlers at once as allowed, and no more', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const hold = gate();
      let running = 0;
      let most = 0;
      const reception = await stage().consume(topic, {
        concurrency: 3,
        handle: async () => {
          most = Math.max(most, ++running);
          await hold.opened;
          running--;
          return ACK;
        },
      });
      await Promise.all(numbered(30).map((body) => producer.send(message(topic, body))));
      await waitFor(() => reception.consumer.inFlight === 3);
      expect(reception.messages).toHaveLength(3);
      hold.open();
      await reception.received(30);
      await waitFor(() => reception.consumer.inFlight === 0);
      expect(most).toBe(3);
    });

    it('hands over batches up to the size, each of one queue', async () => {
      const topic = await stage().topic(2);
      const producer = await stage().producer();
      const hold = gate();
      const reception = await stage().consume(topic, {
        concurrency: 1,
        batchSize: 8,
        handle: () => hold.opened.then(() => ACK),
      });
      await producer.send(message(topic, 'first'));
      await reception.received(1);
      await Promise.all(numbered(40).map((body) => producer.send(message(topic, body))));
      hold.open();
      await reception.received(41);
      expect(Math.max(...reception.calls.map((batch) => batch.length))).toBeLessThanOrEqual(8);
      expect(Math.max(...reception.calls.map((batch) => batch.length))).toBeGreaterThan(1);
      for (const batch of reception.calls) {
        expect(new Set(batch.map(queueName)).size).toBe(1);
      }
      await waitFor(async () => (await stage().lag(reception.group, topic)) === 0);
    });

    it('holds no more messages than allowed while handlers are busy', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const hold = gate();
      const reception = await stage().consume(topic, {
        concurrency: 1,
        maxCachedMessages: 5,
        pullBatchSize: 2,
        handle: () => hold.opened.then(() => ACK),
      });
      await producer.sendBatch(numbered(50).map((body) => message(topic, body)));
      await reception.received(1);
      hold.open();
      await reception.received(50);
      expect(reception.bodies()).toEqual(numbered(50));
    });

    it('never acknowledges past a message that is not finished', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const hold = gate();
      const reception = await stage().consume(topic, {
        handle: async (received) => {
          if (text(received) === 'm0') await hold.opened;
          return ACK;
        },
      });
      for (const body of numbered(5)) await producer.send(message(topic, body));
      await reception.received(5);
      await waitFor(() => reception.consumer.inFlight === 1);
      expect(await reception.consumer.close(0)).toEqual({ abandoned: 1 });
      hold.open();
      expect(await stage().lag(reception.group, topic)).toBe(5);
      const successor = await stage().consume(topic, { group: reception.group });
      await successor.received(5);
      expect(successor.bodies().sort()).toEqual(numbered(5));
    });

    it('makes no handler calls while paused, and goes on afterwards', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      await producer.send(message(topic, 'before'));
      await reception.received(1);
      reception.consumer.pause();
      await Promise.all(numbered(5).map((body) => producer.send(message(topic, body))));
      const witness = await stage().consume(topic, { startFrom: 'first' });
      await witness.received(6);
      expect(reception.bodies()).toEqual(['before']);
      reception.consumer.resume();
      await reception.received(6);
    });

    it('pauses one topic without the others', async () => {
      const [one, two] = [await stage().topic(), await stage().topic()];
      const producer = await stage().producer();
      const reception = await stage().consume(one, { subscriptions: [{ topic: one }, { topic: two }] });
      reception.consumer.pause(one);
      await producer.send(message(one, 'one'));
      await producer.send(message(two, 'two'));
      await reception.received(1);
      expect(reception.bodies()).toEqual(['two']);
      reception.consumer.resume(one);
      await reception.received(2);
      expect(reception.bodies()).toEqual(['two', 'one']);
    });

    it('lets running handlers finish when it closes, and begins no new ones', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const hold = gate();
      const reception = await stage().consume(topic, {
        concurrency: 2,
        handle: () => hold.opened.then(() => ACK),
      });
      await Promise.all(numbered(10).map((body) => producer.send(message(topic, body))));
      await reception.received(2);
      const closing = reception.consumer.close();
      hold.open();
      expect(await closing).toEqual({ abandoned: 0 });
      expect(reception.consumer.inFlight).toBe(0);
      expect(reception.messages).toHaveLength(2);
      const successor = await stage().consume(topic, { group: reception.group });
      await successor.received(8);
      expect([...reception.bodies(), ...successor.bodies()].sort()).toEqual(numbered(10));
    });

    it('gives up handlers that do not finish in time, tells them, and counts their messages', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const signals: AbortSignal[] = [];
      const hold = gate();
      const reception = await stage().consume(topic, {
        handle: async (_message, { signal }) => {
          signals.push(signal);
          await hold.opened;
          return ACK;
        },
      });
      await Promise.all(numbered(3).map((body) => producer.send(message(topic, body))));
      await reception.received(3);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
      expect(await reception.consumer.close(20)).toEqual({ abandoned: 3 });
      expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
      hold.open();
      const successor = await stage().consume(topic, { group: reception.group });
      await successor.received(3);
    });

    it('closes once, whoever asks, and says so to those who wait', async () => {
      const topic = await stage().topic();
      const { consumer } = await stage().consume(topic);
      const [first, second] = await Promise.all([consumer.close(), consumer.close()]);
      expect([first, second]).toEqual([{ abandoned: 0 }, { abandoned: 0 }]);
      expect(consumer.assignment()).toEqual([]);
      await refusal(consumer.start(), 'CLOSED');
    });

    it('sends a message back whose handler takes too long, and ignores the late result', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const hold = gate();
      const signals: AbortSignal[] = [];
      const reception = await stage().consume(topic, {
        consumeTimeoutMs: 100,
        handle: async (received, { signal }) => {
          signals.push(signal);
          if (received.attempt === 1) await hold.opened;
          return ACK;
        },
      });
      await producer.send(message(topic, 'slow'));
      await reception.received(2);
      expect(reception.messages.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(signals[0]!.aborted).toBe(true);
      expect(reception.events.filter(({ type }) => type === 'consume-timeout')).toHaveLength(1);
      hold.open();
      await waitFor(() => reception.consumer.inFlight === 0);
      await reception.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('reports what it was assigned', async () => {
      const topic = await stage().topic(3);
      const reception = await stage().consume(topic);
      const own = reception.consumer.assignment().filter((queue) => queue.startsWith(`${topic}@`));
      expect(own.map((queue) => queue.slice(queue.lastIndexOf(':') + 1))).toEqual(['0', '1', '2']);
      expect(reception.events).toContainEqual({ type: 'assigned', topic, queues: own });
    });
  });
}
