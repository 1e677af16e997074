import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, refusal, useStage } from './stage.js';

export function describeDelayed(engine: EngineUnderTest): void {
  describe('delayed messages', () => {
    const stage = useStage(engine);

    it('delivers a message of a delay level after messages sent later', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const receipt = await producer.send(message(topic, 'later', { delivery: { level: 1 } }));
      expect(receipt.status).toBe('SEND_OK');
      await producer.send(message(topic, 'now'));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['now', 'later']);
      expect(reception.messages[1]!.messageId).toBe(receipt.messageId);
      expect(reception.messages[1]!.topic).toBe(topic);
      expect(reception.messages[1]!.attempt).toBe(1);
    });

    it.runIf(engine.isBroker5)('delivers a timer message after messages sent later', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const delivery = { afterMs: engine.laterMs };
      await producer.send(message(topic, 'later', { delivery, tag: 'timer', headers: { a: 'b' } }));
      await producer.send(message(topic, 'now'));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['now', 'later']);
      expect(reception.messages[1]).toMatchObject({ topic, tag: 'timer', headers: { a: 'b' }, attempt: 1 });
    });

    it.runIf(engine.isBroker5)('delivers at a point in time, and at once when it has passed', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const at = Date.now() + engine.laterMs;
      await producer.send(message(topic, 'later', { delivery: { at } }));
      await producer.send(message(topic, 'past', { delivery: { at: Date.now() - 60_000 } }));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['past', 'later']);
    });

    it.runIf(engine.isBroker5)('takes a timer message back before it is due', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const delivery = { afterMs: 2 * engine.laterMs };
      const withdrawn = await producer.send(message(topic, 'withdrawn', { delivery }));
      expect(withdrawn.recallHandle).toEqual(expect.any(String));
      await producer.send(message(topic, 'kept', { delivery }));
      expect(await producer.recall(topic, withdrawn.recallHandle!)).toBe(withdrawn.messageId);
      await reception.received(1);
      await producer.send(message(topic, 'end', { delivery }));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['kept', 'end']);
    });

    it.skipIf(engine.isBroker5)(
      'refuses a timer message a broker of RocketMQ 4 would deliver at once',
      async () => {
        const topic = await stage().topic();
        const producer = await stage().producer();
        const delivery = { afterMs: 60_000 };
        await refusal(producer.send(message(topic, 'later', { delivery })), 'UNSUPPORTED');
      },
    );

    it('gives no recall handle for a delay level, nor for a message without delay', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const level = await producer.send(message(topic, 'later', { delivery: { level: 1 } }));
      const plain = await producer.send(message(topic, 'now'));
      expect([level.recallHandle, plain.recallHandle]).toEqual([undefined, undefined]);
    });

    it.runIf(engine.isBroker5)('refuses to take back what was delivered', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      const delivery = { afterMs: engine.laterMs };
      const receipt = await producer.send(message(topic, 'gone', { delivery }));
      await reception.received(1);
      await waitFor(async () => {
        await refusal(producer.recall(topic, receipt.recallHandle!), 'BROKER_REJECTED');
        return true;
      });
    });

    it('refuses a handle that is none', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      await refusal(producer.recall(topic, 'nonsense'), 'INVALID_ARGUMENT');
    });

    it.runIf(engine.isBroker5)('refuses a handle of another topic', async () => {
      const [topic, other] = [await stage().topic(), await stage().topic()];
      const producer = await stage().producer();
      const delivery = { afterMs: 60_000 };
      const { recallHandle } = await producer.send(message(other, 'later', { delivery }));
      await refusal(producer.recall(topic, recallHandle!), 'BROKER_REJECTED');
      await producer.recall(other, recallHandle!);
    });
  });
}
