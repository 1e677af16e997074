import { describe, expect, it } from 'vitest';
import { DEAD_LETTER_REASON } from '../../lib/message/dead-letter-reason.js';
import { ACK, RETRY } from '../../lib/client/push-consumer.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, text, useStage } from './stage.js';

export function describeRetrying(engine: EngineUnderTest): void {
  describe('retries and dead letters', () => {
    const stage = useStage(engine);

    it('delivers again with a higher attempt and the same identity until it is acknowledged', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        handle: ({ attempt }) => (attempt < 3 ? RETRY : ACK),
      });
      const receipt = await producer.send(
        message(topic, 'again', { tag: 't', keys: ['k'], headers: { h: 'v' }, orderingKey: 'o' }),
      );
      await reception.received(3);
      expect(reception.messages.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      for (const received of reception.messages) {
        expect(received).toMatchObject({
          topic,
          messageId: receipt.messageId,
          tag: 't',
          keys: ['k'],
          headers: { h: 'v' },
          orderingKey: 'o',
          bornTimestamp: reception.messages[0]!.bornTimestamp,
        });
        expect(text(received)).toBe('again');
      }
      const types = reception.events.map(({ type }) => type).filter((type) => type !== 'assigned');
      expect(types).toEqual(['retried', 'retried']);
      await reception.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('takes a handler that throws for a retry, and reports the error', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        handle: ({ attempt }) => {
          if (attempt === 1) throw new Error('out of luck');
          return ACK;
        },
      });
      await producer.send(message(topic, 'again'));
      await reception.received(2);
      const errors = reception.events.filter((event) => event.type === 'error');
      expect(errors.map(({ error }) => error.message)).toEqual(['out of luck']);
    });

    it('retries after a delay the handler asks for', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        handle: ({ attempt }) => (attempt === 1 ? { action: 'retry', delayMs: 900 } : ACK),
      });
      await producer.send(message(topic, 'again'));
      await reception.received(2);
      expect(reception.messages.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(reception.events).toContainEqual(expect.objectContaining({ type: 'retried', delayMs: 900 }));
    });

    it('retries the failed messages of a batch only', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        batchSize: 10,
        handle: (received) => (text(received) === 'bad' && received.attempt === 1 ? RETRY : ACK),
      });
      await producer.sendBatch(['good1', 'bad', 'good2'].map((body) => message(topic, body)));
      await reception.received(4);
      expect(reception.bodies().slice(0, 3).sort()).toEqual(['bad', 'good1', 'good2']);
      expect(reception.bodies()[3]).toBe('bad');
      await reception.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('moves a message to the dead letters when its attempts are used up', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, { maxAttempts: 2, handle: () => RETRY });
      const receipt = await producer.send(message(topic, 'hopeless', { tag: 't', headers: { h: 'v' } }));
      await reception.received(2);
      const dead = await stage().deadLetters(reception.group);
      await dead.received(1);
      expect(dead.messages[0]).toMatchObject({ messageId: receipt.messageId, tag: 't', headers: { h: 'v' } });
      expect(dead.bodies()).toEqual(['hopeless']);
      expect(dead.messages[0]!.properties).toMatchObject({ RETRY_TOPIC: topic });
      await waitFor(() => reception.events.some(({ type }) => type === 'dead-lettered'));
      expect(reception.messages).toHaveLength(2);
    });

    it('moves a message to the dead letters at once when the handler says so', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        handle: () => ({ action: 'dead-letter', reason: 'not JSON' }),
      });
      await producer.send(message(topic, 'garbage', { headers: { kept: 'yes' } }));
      const dead = await stage().deadLetters(reception.group);
      await dead.received(1);
      expect(dead.bodies()).toEqual(['garbage']);
      expect(dead.messages[0]!.headers).toEqual({ kept: 'yes', [DEAD_LETTER_REASON]: 'not JSON' });
      expect(reception.messages).toHaveLength(1);
      await waitFor(() => reception.events.some(({ type }) => type === 'dead-lettered'));
      expect(reception.events).toContainEqual(
        expect.objectContaining({ type: 'dead-lettered', reason: 'not JSON' }),
      );
    });

    it('goes to the dead letters after the first failure when one attempt is all', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const reception = await stage().consume(topic, { maxAttempts: 1, handle: () => RETRY });
      await producer.send(message(topic, 'once'));
      const dead = await stage().deadLetters(reception.group);
      await dead.received(1);
      expect(reception.messages).toHaveLength(1);
    });

    it('lets other messages pass while one waits for its retry', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, {
        handle: (received) => (text(received) === 'bad' && received.attempt === 1 ? RETRY : ACK),
      });
      await producer.send(message(topic, 'bad'));
      await producer.send(message(topic, 'good'));
      await reception.received(3);
      expect(reception.bodies()).toEqual(['bad', 'good', 'bad']);
    });

    it('does not let one group see the retries of another', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const failing = await stage().consume(topic, {
        handle: ({ attempt }) => (attempt === 1 ? RETRY : ACK),
      });
      const content = await stage().consume(topic);
      await producer.send(message(topic, 'x'));
      await failing.received(2);
      await producer.send(message(topic, 'end'));
      await content.received(2);
      expect(content.bodies()).toEqual(['x', 'end']);
    });

    it('delivers retries to a member that comes later', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const first = await stage().consume(topic, { handle: () => RETRY });
      await producer.send(message(topic, 'handed on'));
      await first.received(1);
      await waitFor(() => first.events.some(({ type }) => type === 'retried'));
      await first.consumer.close();
      const second = await stage().consume(topic, { group: first.group });
      await second.received(1);
      expect(second.messages[0]!.attempt).toBe(first.messages.at(-1)!.attempt + 1);
    });
  });
}
