import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, useStage } from './stage.js';

export function describeStartPosition(engine: EngineUnderTest): void {
  describe('where a new group starts', () => {
    const stage = useStage(engine);

    // A broker of RocketMQ 4 tells a new group of a young topic that it stands at 0, and startFrom is not asked.
    it.runIf(engine.isBroker5)('sees only what comes after its start, by default', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      await producer.send(message(topic, 'before'));
      const { admin } = await stage().client();
      // Brokers put a message into its queue a moment after they acknowledged it.
      await waitFor(async () => [...(await admin.offsets(topic)).values()].some(({ max }) => max === 1));
      const reception = await stage().consume(topic);
      await producer.send(message(topic, 'after'));
      await reception.received(1);
      expect(reception.bodies()).toEqual(['after']);
    });

    it('sees everything there is with "first"', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      await producer.send(message(topic, 'before'));
      const reception = await stage().consume(topic, { startFrom: 'first' });
      await producer.send(message(topic, 'after'));
      await reception.received(2);
      expect(reception.bodies().sort()).toEqual(['after', 'before']);
    });

    it.runIf(engine.isBroker5)('sees what was stored since a point in time', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const witness = await stage().consume(topic);
      await producer.send(message(topic, 'early'));
      await witness.received(1);
      // Stored in another millisecond than the first one.
      await new Promise((resolve) => setTimeout(resolve, 30));
      await producer.send(message(topic, 'late'));
      await witness.received(2);
      const startFrom = new Date(witness.messages[1]!.storeTimestamp);
      const reception = await stage().consume(topic, { startFrom });
      await producer.send(message(topic, 'end'));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['late', 'end']);
    });

    it('goes on where the group was, whatever it says', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const first = await stage().consume(topic, { startFrom: 'first' });
      await producer.send(message(topic, 'one'));
      await first.received(1);
      await first.consumer.close();
      await producer.send(message(topic, 'two'));
      const second = await stage().consume(topic, { group: first.group, startFrom: 'last' });
      await second.received(1);
      expect(second.bodies()).toEqual(['two']);
      await second.consumer.close();
      const third = await stage().consume(topic, { group: first.group, startFrom: 'first' });
      await producer.send(message(topic, 'three'));
      await third.received(1);
      expect(third.bodies()).toEqual(['three']);
    });

    it('keeps the position of a group that saw nothing', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const first = await stage().consume(topic);
      await first.consumer.close();
      await producer.send(message(topic, 'meanwhile'));
      const second = await stage().consume(topic, { group: first.group });
      await second.received(1);
      expect(second.bodies()).toEqual(['meanwhile']);
    });
  });
}
