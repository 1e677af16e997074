import { describe, expect, it } from 'vitest';
import { sql92, tags, type MessageFilter } from '../../lib/client/subscription.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, useStage } from './stage.js';

export function describeFiltering(engine: EngineUnderTest): void {
  describe('filters', () => {
    const stage = useStage(engine);

    it('delivers only messages with one of the tags', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const filter = tags('created', 'Aa');
      const reception = await stage().consume(topic, { subscriptions: [{ topic, filter }] });
      await producer.send(message(topic, 'no tag'));
      await producer.send(message(topic, 'other', { tag: 'paid' }));
      // Java's hash code of "BB" is that of "Aa": a filter by hash alone lets it through.
      await producer.send(message(topic, 'same hash', { tag: 'BB' }));
      await producer.send(message(topic, 'one', { tag: 'created' }));
      await producer.send(message(topic, 'two', { tag: 'Aa' }));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['one', 'two']);
    });

    it('moves the group on over messages nobody wanted', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const filter = tags('wanted');
      const first = await stage().consume(topic, { subscriptions: [{ topic, filter }] });
      for (let index = 0; index < 5; index++) await producer.send(message(topic, 'no', { tag: 'unwanted' }));
      await producer.send(message(topic, 'yes', { tag: 'wanted' }));
      await first.received(1);
      await first.consumer.close();
      expect(await stage().lag(first.group, topic)).toBe(0);
    });

    /** [expression, name of the messages it lets through]; see the messages in the test. */
    const expressions: readonly (readonly [string, string])[] = [
      ['amount > 100', 'big'],
      ['amount >= 100 AND amount <= 100', 'medium'],
      ['amount BETWEEN 5 AND 100', 'small medium'],
      ['amount NOT BETWEEN 5 AND 100', 'big'],
      ["color = 'red'", 'small big'],
      ["color <> 'red'", 'medium'],
      ["color IN ('blue', 'green')", 'medium'],
      ["color NOT IN ('blue', 'green')", 'small big'],
      ['amount IS NULL', 'bare'],
      ['amount IS NOT NULL AND urgent = TRUE', 'big'],
      ["TAGS = 'a' OR amount = 500", 'small big'],
      ["NOT (color = 'red') AND amount > 1", 'medium'],
      ["TAGS IS NOT NULL AND (TAGS = 'a' OR TAGS = 'b')", 'small medium'],
    ];
    const expressionsOf5: typeof expressions = [
      ["color CONTAINS 'lu'", 'medium'],
      ["color STARTSWITH 'r'", 'small big'],
    ];

    it.each(engine.isBroker5 ? [...expressions, ...expressionsOf5] : expressions)(
      'understands %s',
      async (expression, expected) => {
        const topic = await stage().topic(1);
        const producer = await stage().producer();
        const everything: MessageFilter = sql92(`(${expression}) OR last = 'true'`);
        const reception = await stage().consume(topic, { subscriptions: [{ topic, filter: everything }] });
        await producer.send(message(topic, 'small', { tag: 'a', headers: { amount: '10', color: 'red' } }));
        await producer.send(
          message(topic, 'medium', { tag: 'b', headers: { amount: '100', color: 'blue' } }),
        );
        await producer.send(
          message(topic, 'big', { headers: { amount: '500', color: 'red', urgent: 'true' } }),
        );
        await producer.send(message(topic, 'bare'));
        await producer.send(message(topic, 'last', { headers: { last: 'true', amount: '1' } }));
        const count = expected.split(' ').length + 1;
        await reception.received(count);
        expect(reception.bodies().join(' ')).toBe(`${expected} last`);
      },
    );

    it('replaces a filter while running', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic, { subscriptions: [{ topic, filter: tags('a') }] });
      await producer.send(message(topic, 'first', { tag: 'a' }));
      await reception.received(1);
      await reception.consumer.subscribe({ topic, filter: tags('b') });
      await producer.send(message(topic, 'unwanted', { tag: 'a' }));
      await producer.send(message(topic, 'second', { tag: 'b' }));
      await reception.received(2);
      expect(reception.bodies()).toEqual(['first', 'second']);
    });

    it('adds and removes topics while running', async () => {
      const [one, two] = [await stage().topic(), await stage().topic()];
      const producer = await stage().producer();
      const reception = await stage().consume(one);
      await reception.consumer.subscribe({ topic: two });
      await producer.send(message(one, 'one'));
      await producer.send(message(two, 'two'));
      await reception.received(2);
      expect(reception.messages.map(({ topic }) => topic).sort()).toEqual([one, two].sort());
      await reception.consumer.unsubscribe(one);
      expect(reception.consumer.assignment().some((queue) => queue.startsWith(`${one}@`))).toBe(false);
      await producer.send(message(one, 'nobody'));
      await producer.send(message(two, 'three'));
      await reception.received(3);
      expect(reception.bodies().slice(2)).toEqual(['three']);
    });
  });
}
