import { describe, expect, it } from 'vitest';
import { ACK, RETRY, type ConsumeResult } from '../../../lib/client/push-consumer.js';
import { tags } from '../../../lib/client/subscription.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, text, useScenario } from './scenario.js';

describe('concurrent consumption', () => {
  const scenario = useScenario();

  it('hands over every message once, with what the producer gave it', async () => {
    const { topic } = scenario();
    await scenario().createTopic();
    const { deliveries, consumer } = await scenario().consume();
    await scenario().send({
      body: Buffer.from('{"id":1}'),
      tag: 'created',
      keys: ['a', 'b'],
      headers: { tenant: 'blue' },
    });
    await waitFor(() => deliveries.length === 1);
    const [message] = deliveries[0]!.messages;
    expect(message).toMatchObject({
      topic,
      tag: 'created',
      keys: ['a', 'b'],
      headers: { tenant: 'blue' },
      attempt: 1,
    });
    expect(text(message!)).toBe('{"id":1}');

    const bodies = await scenario().sendMany(500);
    await waitFor(() => deliveries.length === 501);
    expect(
      deliveries
        .flatMap(({ messages }) => messages.map(text))
        .slice(1)
        .sort(),
    ).toEqual(bodies.sort());
    await consumer.close();
    expect(await scenario().lag()).toBe(0);
  });

  it('receives only the tags subscribed, also where tags share a hash code', async () => {
    await scenario().createTopic();
    const { topic } = scenario();
    // "Aa" and "BB" are equal to the broker: same Java hash code.
    const { bodies } = await scenario().consume({ subscriptions: [{ topic, filter: tags('Aa', 'paid') }] });
    await scenario().send(
      { tag: 'BB', body: Buffer.from('same hash') },
      { tag: 'other', body: Buffer.from('other') },
      { body: Buffer.from('no tag') },
      { tag: 'Aa', body: Buffer.from('first') },
      { tag: 'paid', body: Buffer.from('second') },
    );
    await waitFor(() => bodies().length === 2);
    expect(bodies().sort()).toEqual(['first', 'second']);
    await waitFor(async () => (await scenario().lag()) === 0);
    expect(bodies()).toHaveLength(2);
  });

  it('never runs more handlers at once than allowed, and takes queues in turn', async () => {
    await scenario().createTopic(4);
    const hold = gate();
    const { deliveries, consumer } = await scenario().consume({
      concurrency: 3,
      handle: async () => {
        await hold.opened;
        return ACK;
      },
    });
    await scenario().sendMany(200);
    await waitFor(() => consumer.inFlight === 3);
    await waitFor(async () => (await scenario().lag()) === 200);
    expect(deliveries).toHaveLength(3);
    hold.open();
    await waitFor(() => deliveries.length === 200);
    const firstQueues = deliveries.slice(3, 103).map(({ messages }) => messages[0]!.queueId);
    for (const queueId of [0, 1, 2, 3]) {
      expect(firstQueues.filter((id) => id === queueId).length).toBeGreaterThan(10);
    }
  });

  it('hands over batches of one queue, with a result per message', async () => {
    await scenario().createTopic(1);
    const { topic } = scenario();
    await scenario().sendMany(10);
    const { deliveries, eventsOf } = await scenario().consume({
      batchSize: 4,
      concurrency: 1,
      startFrom: 'first',
      subscriptions: [{ topic }],
      handle: ({ messages }) =>
        messages.map((message): ConsumeResult =>
          text(message) === '5' && message.attempt === 1 ? RETRY : ACK,
        ),
    });
    await waitFor(() => deliveries.flatMap(({ messages }) => messages).length === 11);
    expect(deliveries.map(({ messages }) => messages.map(text).join())).toEqual([
      '0,1,2,3',
      '4,5,6,7',
      '8,9',
      '5',
    ]);
    expect(eventsOf('retried').map(({ message }) => text(message))).toEqual(['5']);
  });

  it('delivers again what was refused, later, under its own topic', async () => {
    const { topic } = scenario();
    await scenario().createTopic();
    const { deliveries, eventsOf } = await scenario().consume({
      handle: ({ messages }) => (messages[0]!.attempt < 3 ? { action: 'retry', delayMs: 500 } : ACK),
    });
    await scenario().send('again');
    await waitFor(() => deliveries.length === 3);
    const messages = deliveries.map(({ messages: [message] }) => message!);
    expect(messages.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(messages.map((message) => message.topic))).toEqual(new Set([topic]));
    expect(new Set(messages.map(({ messageId }) => messageId)).size).toBe(1);
    await waitFor(() => eventsOf('retried').length === 2);
    expect(eventsOf('retried')[0]).toMatchObject({ delayMs: 500 });
  });

  it('sends a message that failed too often to the dead letters', async () => {
    await scenario().createTopic();
    const { deliveries, eventsOf } = await scenario().consume({ maxAttempts: 2, handle: () => RETRY });
    await scenario().send('hopeless');
    await waitFor(() => eventsOf('dead-lettered').length === 1);
    expect(deliveries).toHaveLength(2);
    expect(eventsOf('dead-lettered')[0]).toMatchObject({ reason: 'failed 2 times' });
    expect(eventsOf('retried')).toHaveLength(1);
    const dead = await scenario().deadLetters();
    await waitFor(() => dead.bodies().length === 1);
    expect(dead.bodies()).toEqual(['hopeless']);
  });

  it('sends a message to the dead letters when the handler says so', async () => {
    await scenario().createTopic();
    const { deliveries, eventsOf } = await scenario().consume({
      handle: () => ({ action: 'dead-letter', reason: 'not JSON' }),
    });
    await scenario().send('nonsense');
    await waitFor(() => eventsOf('dead-lettered').length === 1);
    expect(eventsOf('dead-lettered')[0]).toMatchObject({ reason: 'not JSON' });
    const dead = await scenario().deadLetters();
    await waitFor(() => dead.bodies().length === 1);
    expect(deliveries).toHaveLength(1);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['rejects with nothing', () => Promise.reject()],
    ['answers nothing', () => undefined as never],
    ['answers too few results', () => [] as never],
    ['answers something else', () => ({ action: 'maybe' }) as never],
  ])('retries when the handler %s, and goes on', async (_what, misbehave) => {
    await scenario().createTopic();
    const { deliveries, eventsOf } = await scenario().consume({
      handle: ({ messages }) => (messages[0]!.attempt === 1 ? misbehave() : ACK),
    });
    await scenario().send('message');
    await waitFor(() => deliveries.length === 2);
    expect(eventsOf('error').map(({ context }) => context)).toContain('handler');
    await waitFor(async () => (await scenario().lag()) === 0);
  });

  it('gives up a handler that takes too long: delivers again, ignores its answer', async () => {
    await scenario().createTopic();
    const late = gate();
    const { deliveries, eventsOf, consumer } = await scenario().consume({
      consumeTimeoutMs: 300,
      concurrency: 1,
      handle: async ({ messages }) => {
        if (messages[0]!.attempt === 1) await late.opened;
        return messages[0]!.attempt === 1 ? RETRY : ACK;
      },
    });
    await scenario().send('slow');
    await waitFor(() => eventsOf('consume-timeout').length === 1);
    expect(deliveries[0]!.context.signal.aborted).toBe(true);
    expect(consumer.inFlight).toBe(0);
    await waitFor(() => deliveries.length === 2);
    late.open();
    await waitFor(async () => (await scenario().lag()) === 0);
    expect(eventsOf('retried')).toHaveLength(1);
    expect(deliveries).toHaveLength(2);
  });

  it('pauses one topic, or all, and goes on', async () => {
    const { topic } = scenario();
    const second = uniqueName('second');
    await scenario().createTopic();
    await scenario().createTopic(4, second);
    const { consumer, bodies } = await scenario().consume({ subscriptions: [{ topic }, { topic: second }] });
    consumer.pause(topic);
    await scenario().send('held');
    await scenario().send({ topic: second, body: Buffer.from('passes') });
    await waitFor(() => bodies().includes('passes'));
    consumer.pause();
    consumer.resume(topic);
    await scenario().send({ topic: second, body: Buffer.from('held too') });
    await waitFor(async () => (await scenario().lag(undefined, second)) === 1);
    expect(bodies()).toEqual(['passes']);
    consumer.resume();
    await waitFor(() => bodies().length === 3);
    expect(bodies().sort()).toEqual(['held', 'held too', 'passes']);
  });

  it('changes its subscriptions while it runs', async () => {
    const { topic } = scenario();
    const second = uniqueName('second');
    await scenario().createTopic();
    await scenario().createTopic(4, second);
    const { consumer, bodies } = await scenario().consume();
    await consumer.subscribe({ topic: second, filter: tags('a') });
    await scenario().send({ topic: second, tag: 'b', body: Buffer.from('b1') });
    await scenario().send({ topic: second, tag: 'a', body: Buffer.from('a1') });
    await waitFor(() => bodies().includes('a1'));

    await consumer.subscribe({ topic: second, filter: tags('b') });
    await scenario().send({ topic: second, tag: 'a', body: Buffer.from('a2') });
    await scenario().send({ topic: second, tag: 'b', body: Buffer.from('b2') });
    await waitFor(() => bodies().includes('b2'));
    expect(bodies()).not.toContain('a2');

    await consumer.unsubscribe(second);
    expect(consumer.assignment().filter((queue) => queue.startsWith(second))).toEqual([]);
    await scenario().send({ topic: second, tag: 'b', body: Buffer.from('b3') });
    await scenario().send({ topic, body: Buffer.from('still here') });
    await waitFor(() => bodies().includes('still here'));
    expect(bodies()).not.toContain('b3');
  });

  it('stops: no new calls, running ones finish, everything done is acknowledged', async () => {
    await scenario().createTopic(1);
    const hold = gate();
    const { consumer, deliveries } = await scenario().consume({
      concurrency: 2,
      handle: async () => {
        await hold.opened;
        return ACK;
      },
    });
    await scenario().sendMany(10);
    await waitFor(() => deliveries.length === 2);
    const closing = consumer.close();
    hold.open();
    expect(await closing).toEqual({ abandoned: 0 });
    expect(deliveries).toHaveLength(2);
    expect(await scenario().lag()).toBe(8);
    await expect(consumer.close()).resolves.toEqual({ abandoned: 0 });
  });

  it('stops within the drain time, whatever handlers do, and counts what it gave up', async () => {
    await scenario().createTopic(1);
    const { consumer, deliveries } = await scenario().consume({
      concurrency: 2,
      batchSize: 3,
      handle: () => new Promise<never>(() => undefined),
    });
    await scenario().sendMany(12);
    await waitFor(() => deliveries.length === 2);
    const handed = deliveries.flatMap(({ messages }) => messages).length;
    expect(await consumer.close(100)).toEqual({ abandoned: handed });
    expect(deliveries.every(({ context }) => context.signal.aborted)).toBe(true);
    expect(await scenario().lag()).toBe(12);
    const successor = await scenario().consume();
    await waitFor(() => successor.bodies().length === 12);
  });

  it('refuses to start without any topic that exists', async () => {
    await expect(scenario().consume({ start: 'only' })).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
  });

  it('starts with the topics that exist and takes up the others when they appear', async () => {
    const later = uniqueName('later');
    const { topic } = scenario();
    await scenario().createTopic();
    const { consumer, bodies, eventsOf } = await scenario().consume({
      subscriptions: [{ topic }, { topic: later }],
      start: 'only',
    });
    expect(eventsOf('error')[0]).toMatchObject({ context: `subscribing to ${later}` });
    await scenario().createTopic(2, later);
    await consumer.whenAssigned(AbortSignal.timeout(20_000));
    await scenario().send({ topic: later, body: Buffer.from('now') });
    await waitFor(() => bodies().length === 1);
  });
});
