import { describe, expect, it } from 'vitest';
import { allocateAveragelyByCircle } from '../../../lib/client/allocation/averagely-by-circle.js';
import { allocateByConfig } from '../../../lib/client/allocation/by-config.js';
import { allocateConsistentHash } from '../../../lib/client/allocation/consistent-hash.js';
import { ACK, RETRY } from '../../../lib/client/push-consumer.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, useScenario, type Consuming, type Scenario } from './scenario.js';

describe('sharing the queues of a topic', () => {
  const scenario = useScenario();

  it('gives each member its share, and all to the one that stays', async () => {
    await scenario().createTopic(4);
    const first = await scenario().consume();
    expect(owned(first)).toHaveLength(4);
    const second = await scenario().consume();
    await waitFor(() => owned(first).length === 2 && owned(second).length === 2);
    expect([...owned(first), ...owned(second)].sort()).toEqual(allQueues(scenario()));
    const third = await scenario().consume();
    await waitFor(
      () =>
        [first, second, third]
          .map((member) => owned(member).length)
          .sort((a, b) => a - b)
          .join() === '1,1,2',
    );
    await first.consumer.close();
    await third.consumer.close();
    await waitFor(() => owned(second).length === 4);
    expect(first.eventsOf('assigned').some(({ queues }) => queues.length === 2)).toBe(true);
  });

  it('leaves members without a queue when there are more members than queues', async () => {
    await scenario().createTopic(1);
    const members = [await scenario().consume(), await scenario().consume()];
    await waitFor(
      () =>
        members
          .map((member) => owned(member).length)
          .sort((a, b) => a - b)
          .join() === '0,1',
    );
    await scenario().sendMany(10);
    await waitFor(() => members.flatMap((member) => member.bodies()).length === 10);
    expect(members.map((member) => member.bodies().length).sort((a, b) => a - b)).toEqual([0, 10]);
  });

  it.each([
    ['averagely by circle', allocateAveragelyByCircle()],
    ['consistent hash', allocateConsistentHash()],
  ])('shares out by another strategy: %s', async (_name, allocateStrategy) => {
    await scenario().createTopic(8);
    const members = [
      await scenario().consume({ allocateStrategy }),
      await scenario().consume({ allocateStrategy }),
    ];
    await waitFor(() => members.flatMap(owned).sort().join() === allQueues(scenario(), 8).join());
  });

  it('takes exactly the queues configured', async () => {
    await scenario().createTopic(4);
    const { topic } = scenario();
    const queue = (queueId: number) => ({ topic, brokerName: 'broker-a', queueId });
    const member = await scenario().consume({ allocateStrategy: allocateByConfig([queue(3), queue(1)]) });
    expect(owned(member).map((name) => name.at(-1))).toEqual(['1', '3']);
  });

  it('loses nothing while members come and go', async () => {
    await scenario().createTopic(8);
    const members: Consuming[] = [await scenario().consume(), await scenario().consume()];
    const sent: string[] = [];
    const seen = (): Set<string> => new Set(members.flatMap((member) => member.bodies()));
    for (let round = 0; round < 4; round++) {
      sent.push(...(await scenario().sendMany(200, `${round}-`)));
      members.push(await scenario().consume());
      sent.push(...(await scenario().sendMany(200, `${round}+`)));
      await members[round]!.consumer.close();
    }
    await waitFor(() => seen().size === sent.length, { timeoutMs: 40_000 });
    await waitFor(async () => (await scenario().lag()) === 0);
  });

  it('ignores what handlers answer after their queue went to another member', async () => {
    await scenario().createTopic(2);
    const hold = gate();
    const first = await scenario().consume({
      concurrency: 100,
      handle: async ({ messages }) => {
        await hold.opened;
        return messages[0]!.queueId === 1 ? RETRY : ACK;
      },
    });
    await scenario().sendMany(10);
    await waitFor(() => first.deliveries.length === 10);
    const second = await scenario().consume();
    await waitFor(() => owned(first).length === 1 && owned(second).length === 1);
    const movedId = Number(owned(second)[0]!.at(-1));
    const moved = first.deliveries.filter(({ messages }) => messages[0]!.queueId === movedId);
    await waitFor(() => second.deliveries.length === moved.length);
    expect(moved.every(({ context }) => context.signal.aborted)).toBe(true);
    hold.open();
    // The first member acknowledges or sends back only what it still owns.
    const kept = first.deliveries.filter(({ messages }) => messages[0]!.queueId !== movedId);
    expect(kept.some(({ context }) => context.signal.aborted)).toBe(false);
    await waitFor(async () => (await scenario().lag()) === 0);
    const refused = kept.filter(({ messages }) => messages[0]!.queueId === 1).length;
    await waitFor(() => first.eventsOf('retried').length === refused);
    expect(first.eventsOf('retried').every(({ message }) => message.queueId !== movedId)).toBe(true);
  });

  it('takes a queue that was added to the topic', async () => {
    await scenario().createTopic(1);
    const member = await scenario().consume({ client: { routePollIntervalMs: 300 } });
    expect(owned(member)).toHaveLength(1);
    await scenario().createTopic(3);
    await waitFor(() => owned(member).length === 3);
  });

  it('skips nothing of a topic that is created, and used, after the group began', async () => {
    await scenario().createTopic(1);
    const later = `${scenario().topic}-later`;
    const { bodies, eventsOf } = await scenario().consume({
      client: { routePollIntervalMs: 2_000 },
      startFrom: 'last',
      subscriptions: [{ topic: scenario().topic }, { topic: later }],
      start: 'only',
    });
    const looked = `sharing out the queues of ${later}`;
    await waitFor(() => eventsOf('error').some(({ context }) => context === looked));
    await scenario().createTopic(1, later);
    await scenario().send({ topic: later, body: Buffer.from('first') });
    await waitFor(() => bodies().includes('first'));
  });

  it('skips nothing of a queue that was used before the group knew of it', async () => {
    await scenario().createTopic(1);
    await scenario().send('before the group began');
    const member = await scenario().consume({ client: { routePollIntervalMs: 2_000 }, startFrom: 'last' });
    await scenario().createTopic(2);
    const bodies = ['0', '1', '2', '3'];
    for (const body of bodies) {
      await scenario().sendTo({ topic: scenario().topic, brokerName: 'broker-a', queueId: 1 }, body);
    }
    await waitFor(() => member.bodies().length >= 4);
    expect(member.bodies()).toEqual(expect.arrayContaining(bodies));
  });
});

/** Queues of the topic itself, without those of the retry topic. */
function owned({ consumer }: Consuming): string[] {
  return consumer.assignment().filter((name) => !name.startsWith('%RETRY%'));
}

function allQueues({ topic }: Scenario, count = 4): string[] {
  return Array.from({ length: count }, (_, queueId) => `${topic}@broker-a:${queueId}`);
}
