import { describe, expect, it } from 'vitest';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { message, refusal, useStage } from './stage.js';

export function describeAdministration(engine: EngineUnderTest): void {
  describe('administration', () => {
    const stage = useStage(engine);

    it('creates and deletes topics', async () => {
      const { admin } = await stage().client();
      const topic = uniqueName('topic');
      expect(await admin.topicExists(topic)).toBe(false);
      await admin.createTopic(topic, { queues: 3 });
      expect(await admin.topicExists(topic)).toBe(true);
      expect((await admin.offsets(topic)).size).toBe(3);
      await admin.createTopic(topic, { queues: 5, type: 'FIFO' });
      expect((await admin.offsets(topic)).size).toBe(5);
      await admin.deleteTopic(topic);
      expect(await admin.topicExists(topic)).toBe(false);
      await admin.deleteTopic(topic);
    });

    it('refuses topics that cannot be', async () => {
      const { admin } = await stage().client();
      await refusal(admin.createTopic('a b'), 'INVALID_ARGUMENT');
      await refusal(admin.createTopic(uniqueName('topic'), { queues: 0 }), 'INVALID_ARGUMENT');
      await refusal(admin.offsets(uniqueName('missing')), 'TOPIC_NOT_FOUND');
    });

    it('tells the type of a topic, which may change', async () => {
      const { admin } = await stage().client();
      const topic = uniqueName('topic');
      await refusal(admin.describeTopic(topic), 'TOPIC_NOT_FOUND');
      // Brokers of RocketMQ 4 know no types.
      const type = (name: string) => (engine.isBroker5 ? name : undefined);
      await admin.createTopic(topic, { queues: 3 });
      expect(await admin.describeTopic(topic)).toEqual({ topic, queues: 3, type: type('NORMAL') });
      await admin.createTopic(topic, { queues: 3, type: 'FIFO' });
      expect(await admin.describeTopic(topic)).toEqual({ topic, queues: 3, type: type('FIFO') });
    });

    it('the type holds no message back', async () => {
      const { admin } = await stage().client();
      const producer = await stage().producer();
      for (const type of ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION'] as const) {
        const topic = uniqueName('topic');
        await admin.createTopic(topic, { type });
        await producer.send(message(topic, 'plain'));
        await producer.send(message(topic, 'ordered', { orderingKey: 'key' }));
        await producer.send(message(topic, 'delayed', { delivery: { level: 1 } }));
      }
    });

    it('tells lowest and highest offsets', async () => {
      const topic = await stage().topic(2);
      const { admin } = await stage().client();
      const producer = await stage().producer();
      const { brokerName } = await producer.send(message(topic, 'first'), {
        selector: (queues) => queues[1]!,
      });
      await producer.send(message(topic, 'second'), { queue: { topic, brokerName, queueId: 1 } });
      // Brokers put messages into their queues a moment after they acknowledged them.
      await waitFor(async () => (await admin.offsets(topic)).get(`${brokerName}:1`)?.max === 2);
      const offsets = await admin.offsets(topic);
      expect(offsets.get(`${brokerName}:0`)).toEqual({ min: 0, max: 0 });
      expect(offsets.get(`${brokerName}:1`)).toEqual({ min: 0, max: 2 });
    });

    it('tells how far a group is behind', async () => {
      const topic = await stage().topic(1);
      const producer = await stage().producer();
      const reception = await stage().consume(topic);
      await reception.consumer.close();
      for (let index = 0; index < 3; index++) {
        await producer.send(message(topic, 'x'));
      }
      // Brokers put messages into their queues a moment after they acknowledged them.
      await waitFor(async () => (await stage().lag(reception.group, topic)) === 3);
      const successor = await stage().consume(topic, { group: reception.group });
      await successor.received(3);
      await waitFor(() => successor.consumer.inFlight === 0);
      await successor.consumer.close();
      expect(await stage().lag(reception.group, topic)).toBe(0);
    });

    it('knows no lag of a group that never consumed', async () => {
      const topic = await stage().topic();
      const { admin } = await stage().client();
      const group = uniqueName('group');
      await admin.createGroup(group);
      const lag = await admin.lag(group, topic);
      expect(lag.total).toBe(0);
      // A broker of RocketMQ 4 answers 0 for "never".
      if (engine.isBroker5) expect(lag.queues).toEqual(new Map());
    });

    it('names the brokers', async () => {
      const { admin } = await stage().client();
      const [broker] = await admin.brokers();
      expect(broker!.addresses.get(0)).toMatch(/^[\d.]+:\d+$/);
    });

    it('forgets the offsets of a deleted group', async () => {
      const topic = await stage().topic();
      const { admin } = await stage().client();
      const producer = await stage().producer();
      const first = await stage().consume(topic);
      await producer.send(message(topic, 'one'));
      await first.received(1);
      await first.consumer.close();
      await admin.deleteGroup(first.group);
      await admin.createGroup(first.group);
      const second = await stage().consume(topic, { group: first.group, startFrom: 'first' });
      await second.received(1);
      expect(second.bodies()).toEqual(['one']);
    });
  });
}
