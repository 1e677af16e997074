import { describe, expect, it } from 'vitest';
import type { MessageQueue, ReceivedMessage } from '../../../lib/message/message.js';
import type { PullConsumer } from '../../../lib/client/pull-consumer.js';
import { sql92, tags } from '../../../lib/client/subscription.js';
import { isBroker5 } from '../../support/broker.js';
import { waitFor } from '../../support/wait-for.js';
import { text, useScenario } from './scenario.js';

describe('pull consumer', () => {
  const scenario = useScenario();

  it('polls messages of the topic subscribed, a few at a time', async () => {
    await scenario().createTopic();
    const all = await scenario().sendMany(45);
    const consumer = await scenario().pullConsumer({ startFrom: 'first', pollBatchSize: 7 });
    await consumer.subscribe({ topic: scenario().topic });
    const batches: number[] = [];
    const bodies: string[] = [];
    while (bodies.length < 45) {
      const messages = await consumer.poll();
      batches.push(messages.length);
      bodies.push(...messages.map(text));
    }
    expect(bodies.sort()).toEqual(all.sort());
    expect(Math.max(...batches)).toBeLessThanOrEqual(7);
  });

  it('resolves with nothing when the time is over, and at once when a message comes', async () => {
    await scenario().createTopic();
    const consumer = await scenario().pullConsumer();
    await consumer.subscribe({ topic: scenario().topic });
    expect(await consumer.poll(50)).toEqual([]);
    const polling = consumer.poll(60_000);
    await scenario().send('hello');
    expect((await polling).map(text)).toEqual(['hello']);
  });

  it('filters by tags and by properties', async () => {
    await scenario().createTopic();
    const byTag = await scenario().pullConsumer({ group: `${scenario().group}-tag` });
    await byTag.subscribe({ topic: scenario().topic, filter: tags('a') });
    const bySql = await scenario().pullConsumer({ group: `${scenario().group}-sql` });
    await bySql.subscribe({ topic: scenario().topic, filter: sql92('amount > 100') });
    await scenario().send(
      { tag: 'a', headers: { amount: '50' }, body: Buffer.from('small a') },
      { tag: 'b', headers: { amount: '500' }, body: Buffer.from('big b') },
    );
    expect((await byTag.poll()).map(text)).toEqual(['small a']);
    expect((await bySql.poll()).map(text)).toEqual(['big b']);
  });

  it('commits by itself what earlier polls handed out', async () => {
    await scenario().createTopic(1);
    await scenario().sendMany(6);
    const consumer = await scenario().pullConsumer({
      startFrom: 'first',
      pollBatchSize: 2,
      autoCommitIntervalMs: 0,
    });
    await consumer.subscribe({ topic: scenario().topic });
    const [queue] = consumer.assignment();
    await take(consumer, 2);
    expect(await consumer.committed(queue!)).toBe(0);
    await take(consumer, 2);
    expect(await consumer.committed(queue!)).toBe(2);
    await consumer.close();
    // Closing commits what was handed out last.
    const next = await scenario().pullConsumer();
    await next.subscribe({ topic: scenario().topic });
    expect((await take(next, 2)).map(text)).toEqual(['4', '5']);
  });

  it('commits only when told to, with autoCommit off', async () => {
    await scenario().createTopic(1);
    await scenario().sendMany(6);
    const options = { startFrom: 'first', autoCommit: false, autoCommitIntervalMs: 0 } as const;
    const consumer = await scenario().pullConsumer(options);
    await consumer.subscribe({ topic: scenario().topic });
    const [queue] = consumer.assignment();
    await take(consumer, 6);
    // Brokers of RocketMQ 4 say 0 for no offset as long as the topic is young.
    expect(await consumer.committed(queue!)).toBe(isBroker5() ? undefined : 0);
    await consumer.commit(new Map([[queue!, 4]]));
    expect(await consumer.committed(queue!)).toBe(4);
    await consumer.commit();
    expect(await consumer.committed(queue!)).toBe(6);
    await consumer.commit(new Map([[queue!, 3]]));
    await consumer.close();
    const next = await scenario().pullConsumer(options);
    await next.subscribe({ topic: scenario().topic });
    expect((await take(next, 3)).map(text)).toEqual(['3', '4', '5']);
  });

  it('reads the queues assigned by hand, and no others', async () => {
    await scenario().createTopic(2);
    const queues = await scenario().queuesWithMessages(2, 5);
    const consumer = await scenario().pullConsumer({ startFrom: 'first' });
    await consumer.assign([queues[0]!]);
    const first = await take(consumer, 5);
    expect(new Set(first.map(({ queueId }) => queueId))).toEqual(new Set([0]));
    expect(await consumer.poll(100)).toEqual([]);
    await consumer.assign([queues[1]!]);
    expect(consumer.assignment()).toEqual([queues[1]]);
    const second = await take(consumer, 5);
    expect(new Set(second.map(({ queueId }) => queueId))).toEqual(new Set([1]));
    await expect(consumer.subscribe({ topic: scenario().topic })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('seeks: to an offset, to the beginning, to the end', async () => {
    await scenario().createTopic(1);
    const [queue] = await scenario().queuesWithMessages(1, 10);
    const consumer = await scenario().pullConsumer({ startFrom: 'first', pollBatchSize: 100 });
    await consumer.assign([queue!]);
    await take(consumer, 10);
    await consumer.seek(queue!, 7);
    expect((await take(consumer, 3)).map(({ queueOffset }) => queueOffset)).toEqual([7, 8, 9]);
    await consumer.seek(queue!, 'begin');
    expect((await take(consumer, 10))[0]).toMatchObject({ queueOffset: 0 });
    await consumer.seek(queue!, 'begin');
    await consumer.seek(queue!, 'end');
    expect(await consumer.poll(200)).toEqual([]);
    await scenario().send('new');
    expect((await take(consumer, 1)).map(text)).toEqual(['new']);
    await expect(consumer.seek(queue!, 1_000)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(consumer.seek({ ...queue!, queueId: 9 }, 0)).rejects.toThrow();
  });

  it('never hands out what was pulled before a seek', async () => {
    await scenario().createTopic(1);
    const [queue] = await scenario().queuesWithMessages(1, 60);
    const consumer = await scenario().pullConsumer({ startFrom: 'first', pollBatchSize: 1 });
    await consumer.assign([queue!]);
    for (const target of [40, 3, 55, 0, 20]) {
      await take(consumer, 1);
      await consumer.seek(queue!, target);
      expect((await take(consumer, 2)).map(({ queueOffset }) => queueOffset)).toEqual([target, target + 1]);
    }
  });

  it('finds the offset of a time', async () => {
    await scenario().createTopic(1);
    const [queue] = await scenario().queuesWithMessages(1, 3);
    const consumer = await scenario().pullConsumer({ startFrom: 'first' });
    await consumer.assign([queue!]);
    const messages = await take(consumer, 3);
    expect(await consumer.offsetForTimestamp(queue!, new Date(0))).toBe(0);
    const found = await consumer.offsetForTimestamp(queue!, new Date(messages[1]!.storeTimestamp));
    expect(messages[found]!.storeTimestamp).toBe(messages[1]!.storeTimestamp);
    // Later than everything: the end; with RocketMQ 4 the last message.
    const end = await consumer.offsetForTimestamp(queue!, new Date(Date.now() + 60_000));
    expect(end).toBe(isBroker5() ? 3 : 2);
  });

  it('pauses queues one by one', async () => {
    await scenario().createTopic(2);
    const queues = await scenario().queuesWithMessages(2, 3);
    const consumer = await scenario().pullConsumer({ startFrom: 'first' });
    await consumer.assign(queues);
    consumer.pause([queues[0]!]);
    const first = await take(consumer, 3);
    expect(new Set(first.map(({ queueId }) => queueId))).toEqual(new Set([1]));
    expect(await consumer.poll(100)).toEqual([]);
    consumer.resume([queues[0]!]);
    expect(await take(consumer, 3)).toHaveLength(3);
  });

  it('shares the queues among the members of the group', async () => {
    await scenario().createTopic(4);
    const first = await scenario().pullConsumer();
    await first.subscribe({ topic: scenario().topic });
    expect(first.assignment()).toHaveLength(4);
    const second = await scenario().pullConsumer();
    await second.subscribe({ topic: scenario().topic });
    await waitFor(() => first.assignment().length === 2 && second.assignment().length === 2);
    await second.close();
    await waitFor(() => first.assignment().length === 4);
    await first.unsubscribe(scenario().topic);
    expect(first.assignment()).toEqual([]);
  });

  it('tells when the queues of a topic change', async () => {
    await scenario().createTopic(1);
    const client = await scenario().client({ routePollIntervalMs: 200 });
    const consumer = client.createPullConsumer({ group: scenario().group });
    const seen: (readonly MessageQueue[])[] = [];
    const end = consumer.onQueuesChanged(scenario().topic, (queues) => seen.push(queues));
    await consumer.start();
    expect(await consumer.queues(scenario().topic)).toHaveLength(1);
    await scenario().createTopic(3);
    await waitFor(() => seen.length === 1);
    expect(seen[0]!.map(({ queueId }) => queueId)).toEqual([0, 1, 2]);
    end();
    await scenario().createTopic(4);
    await waitFor(async () => (await consumer.queues(scenario().topic)).length === 4);
    expect(seen).toHaveLength(1);
  });

  it('lets go of everything, and ends polls, when it closes', async () => {
    await scenario().createTopic();
    const consumer = await scenario().pullConsumer();
    await consumer.subscribe({ topic: scenario().topic });
    const polling = consumer.poll(60_000);
    await consumer.close();
    expect(await polling).toEqual([]);
    await expect(consumer.poll()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(consumer.close()).resolves.toBeUndefined();
  });
});

/** Polls until so many messages came. */
async function take(consumer: PullConsumer, count: number): Promise<ReceivedMessage[]> {
  const messages: ReceivedMessage[] = [];
  await waitFor(async () => {
    messages.push(...(await consumer.poll(200)));
    return messages.length >= count;
  });
  return messages;
}
