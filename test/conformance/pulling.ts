import { describe, expect, it } from 'vitest';
import type { MessageQueue, ReceivedMessage } from '../../lib/message/message.js';
import type { PullConsumer } from '../../lib/client/pull-consumer.js';
import { tags } from '../../lib/client/subscription.js';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, numbered, refusal, text, useStage } from './stage.js';

export function describePulling(engine: EngineUnderTest): void {
  describe('pulling', () => {
    const stage = useStage(engine);

    const pollAll = async (consumer: PullConsumer, count: number): Promise<ReceivedMessage[]> => {
      const messages: ReceivedMessage[] = [];
      await waitFor(async () => {
        messages.push(...(await consumer.poll(500)));
        return messages.length >= count;
      });
      return messages;
    };

    const onlyQueue = async (consumer: PullConsumer, topic: string): Promise<MessageQueue> => {
      const queues = await consumer.queues(topic);
      expect(queues).toHaveLength(1);
      return queues[0]!;
    };

    it('takes the messages of assigned queues from where it sought, in order', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      for (const body of numbered(20)) await producer.send(message(topic, body));
      const consumer = await stage().pullConsumer();
      const queue = await onlyQueue(consumer, topic);
      await consumer.assign([queue]);
      expect(consumer.assignment()).toEqual([queue]);
      await consumer.seek(queue, 'begin');
      expect((await pollAll(consumer, 20)).map(text)).toEqual(numbered(20));
      await consumer.seek(queue, 15);
      expect((await pollAll(consumer, 5)).map(text)).toEqual(numbered(20).slice(15));
      await consumer.seek(queue, 'end');
      await producer.send(message(topic, 'new'));
      expect((await pollAll(consumer, 1)).map(text)).toEqual(['new']);
    });

    it('gives an empty array when nothing comes in time, and what comes while it waits', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const consumer = await stage().pullConsumer();
      await consumer.assign(await consumer.queues(topic));
      expect(await consumer.poll(50)).toEqual([]);
      const waiting = consumer.poll(10_000);
      await producer.send(message(topic, 'awaited'));
      expect((await waiting).map(text)).toEqual(['awaited']);
    });

    it('hands out no more than a batch at a time', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      await producer.sendBatch(numbered(10).map((body) => message(topic, body)));
      const consumer = await stage().pullConsumer({ pollBatchSize: 4, startFrom: 'first' });
      await consumer.assign(await consumer.queues(topic));
      const sizes: number[] = [];
      await waitFor(async () => {
        sizes.push((await consumer.poll(500)).length);
        return sizes.reduce((sum, size) => sum + size, 0) === 10;
      });
      expect(Math.max(...sizes)).toBeLessThanOrEqual(4);
    });

    it('remembers what was committed, for whoever comes next', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      for (const body of numbered(10)) await producer.send(message(topic, body));
      const group = uniqueName('group');
      const first = await stage().pullConsumer({ group, startFrom: 'first', pollBatchSize: 4 });
      const queue = await onlyQueue(first, topic);
      await first.assign([queue]);
      const taken = await pollAll(first, 1);
      await first.commit();
      expect(await first.committed(queue)).toBe(taken.length);
      await first.commit(new Map([[queue, 7]]));
      expect(await first.committed(queue)).toBe(7);
      await first.close();
      const second = await stage().pullConsumer({ group });
      await second.assign([queue]);
      expect((await pollAll(second, 3)).map(text)).toEqual(numbered(10).slice(7));
    });

    it('commits by itself when it may', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      await producer.sendBatch(numbered(3).map((body) => message(topic, body)));
      const group = uniqueName('group');
      const consumer = await stage().pullConsumer({
        group,
        startFrom: 'first',
        autoCommit: true,
        autoCommitIntervalMs: 50,
      });
      const queue = await onlyQueue(consumer, topic);
      await consumer.assign([queue]);
      await pollAll(consumer, 3);
      await waitFor(async () => {
        await consumer.poll(10);
        return (await consumer.committed(queue)) === 3;
      });
    });

    it('shares subscribed topics out among the members of the group', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const group = uniqueName('group');
      const first = await stage().pullConsumer({ group, startFrom: 'first' });
      await first.subscribe({ topic });
      await waitFor(() => first.assignment().length === 4);
      const second = await stage().pullConsumer({
        group,
        startFrom: 'first',
        client: await stage().newClient(),
      });
      await second.subscribe({ topic });
      await waitFor(() => first.assignment().length === 2 && second.assignment().length === 2);
      await Promise.all(numbered(40).map((body) => producer.send(message(topic, body))));
      const taken = await Promise.all([pollAll(first, 20), pollAll(second, 20)]);
      expect(new Set(taken.flat().map(text)).size).toBe(40);
    });

    it('filters a subscribed topic', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const consumer = await stage().pullConsumer({ startFrom: 'first' });
      await consumer.subscribe({ topic, filter: tags('wanted') });
      await producer.send(message(topic, 'no', { tag: 'other' }));
      await producer.send(message(topic, 'yes', { tag: 'wanted' }));
      expect((await pollAll(consumer, 1)).map(text)).toEqual(['yes']);
    });

    it('hands out at once what a queue has that is shared out while it waits', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      await producer.send(message(topic, 'there already'));
      const consumer = await stage().pullConsumer({ startFrom: 'first' });
      const waiting = consumer.poll(15_000);
      await consumer.subscribe({ topic });
      expect((await waiting).map(text)).toEqual(['there already']);
    });

    it('leaves paused queues alone', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const consumer = await stage().pullConsumer();
      const queue = await onlyQueue(consumer, topic);
      await consumer.assign([queue]);
      consumer.pause([queue]);
      await producer.send(message(topic, 'held'));
      expect(await consumer.poll(200)).toEqual([]);
      consumer.resume([queue]);
      expect((await pollAll(consumer, 1)).map(text)).toEqual(['held']);
    });

    it('finds the offset of a point in time', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const consumer = await stage().pullConsumer({ startFrom: 'first' });
      const queue = await onlyQueue(consumer, topic);
      await consumer.assign([queue]);
      await producer.send(message(topic, 'early'));
      // Stored in another millisecond than the first one.
      await new Promise((resolve) => setTimeout(resolve, 30));
      await producer.send(message(topic, 'late'));
      const [, late] = await pollAll(consumer, 2);
      const at = (ms: number): Promise<number> => consumer.offsetForTimestamp(queue, new Date(ms));
      expect(await at(late!.storeTimestamp)).toBe(1);
      expect(await at(late!.storeTimestamp - 3_600_000)).toBe(0);
      // Behind the last message a broker of RocketMQ 4 names that one, not the end.
      expect(await at(late!.storeTimestamp + 3_600_000)).toBe(engine.isBroker5 ? 2 : 1);
    });

    it('refuses to mix subscribing and assigning', async () => {
      const topic = await stage().topic(1);
      const consumer = await stage().pullConsumer();
      await consumer.subscribe({ topic });
      await refusal(consumer.assign(await consumer.queues(topic)), 'INVALID_ARGUMENT');
    });

    it('refuses to seek in a queue it does not have', async () => {
      const topic = await stage().topic(1);
      const consumer = await stage().pullConsumer();
      const queue = await onlyQueue(consumer, topic);
      await refusal(consumer.seek(queue, 'begin'), 'INVALID_ARGUMENT');
    });

    it('ends a waiting poll when it closes, and refuses afterwards', async () => {
      const topic = await stage().topic(1);
      const consumer = await stage().pullConsumer();
      await consumer.assign(await consumer.queues(topic));
      const waiting = consumer.poll(60_000);
      await consumer.close();
      expect(await waiting).toEqual([]);
      await refusal(consumer.poll(10), 'CLOSED');
    });
  });
}
