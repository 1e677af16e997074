import { describe, expect, it } from 'vitest';
import { ACK } from '../../lib/client/push-consumer.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { gate, message, numbered, useStage, type Reception } from './stage.js';

export function describeGroupMembership(engine: EngineUnderTest): void {
  describe('members of a group', () => {
    const stage = useStage(engine);

    const ownQueues = ({ consumer }: Reception, topic: string): string[] =>
      consumer.assignment().filter((queue) => queue.startsWith(`${topic}@`));

    it('share the queues without gap or overlap', async () => {
      const topic = await stage().topic(5);
      const first = await stage().consume(topic);
      expect(ownQueues(first, topic)).toHaveLength(5);
      const second = await stage().consume(topic, {
        group: first.group,
        client: await stage().newClient(),
      });
      await waitFor(() => ownQueues(first, topic).length + ownQueues(second, topic).length === 5);
      const sizes = [ownQueues(first, topic).length, ownQueues(second, topic).length];
      expect(sizes.sort((a, b) => a - b)).toEqual([2, 3]);
      expect(new Set([...ownQueues(first, topic), ...ownQueues(second, topic)]).size).toBe(5);
    });

    it('lose nothing while members come and go', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const first = await stage().consume(topic);
      const sent = numbered(120);
      const send = (from: number, to: number): Promise<unknown> =>
        Promise.all(sent.slice(from, to).map((body) => producer.send(message(topic, body))));
      await send(0, 40);
      const client = await stage().newClient();
      const second = await stage().consume(topic, { group: first.group, client });
      await send(40, 80);
      await waitFor(() => ownQueues(first, topic).length === 2);
      await send(80, 100);
      const seen = (): Set<string> => new Set([...first.bodies(), ...second.bodies()]);
      await waitFor(() => seen().size === 100);
      await second.consumer.close();
      await waitFor(() => ownQueues(first, topic).length === 4);
      await send(100, 120);
      await waitFor(() => seen().size === 120);
      expect([...seen()].sort()).toEqual(sent.sort());
      expect(second.messages.length).toBeGreaterThan(0);
    });

    it('take over at once when a member leaves', async () => {
      const topic = await stage().topic(4);
      const producer = await stage().producer();
      const first = await stage().consume(topic);
      const second = await stage().consume(topic, {
        group: first.group,
        client: await stage().newClient(),
      });
      await waitFor(() => ownQueues(first, topic).length === 2 && ownQueues(second, topic).length === 2);
      await first.consumer.close();
      await waitFor(() => ownQueues(second, topic).length === 4);
      await Promise.all(numbered(8).map((body) => producer.send(message(topic, body))));
      await second.received(8);
    });

    it('learn of a queue that is lost', async () => {
      const topic = await stage().topic(2);
      const producer = await stage().producer();
      const hold = gate();
      const signals: AbortSignal[] = [];
      const first = await stage().consume(topic, {
        handle: async (_message, { signal }) => {
          signals.push(signal);
          await hold.opened;
          return ACK;
        },
      });
      await Promise.all(numbered(2).map((body) => producer.send(message(topic, body))));
      await first.received(2);
      const client = await stage().newClient();
      const second = await stage().consume(topic, { group: first.group, client });
      // One of the two queues goes to the other member, which gets its message again.
      await waitFor(() => signals.filter(({ aborted }) => aborted).length === 1);
      await second.received(1);
      hold.open();
      await waitFor(() => first.consumer.inFlight === 0);
    });

    it('notice new queues of a topic', async () => {
      const topic = await stage().topic(1);
      const client = await stage().client();
      const reception = await stage().consume(topic, { rebalanceIntervalMs: 200 });
      await client.admin.createTopic(topic, { queues: 3 });
      await waitFor(() => ownQueues(reception, topic).length === 3);
    });

    it('of different groups each get every message', async () => {
      const topic = await stage().topic();
      const producer = await stage().producer();
      const one = await stage().consume(topic);
      const two = await stage().consume(topic);
      await Promise.all(numbered(5).map((body) => producer.send(message(topic, body))));
      await one.received(5);
      await two.received(5);
    });
  });
}
