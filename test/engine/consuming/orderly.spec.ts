import { describe, expect, it } from 'vitest';
import { ACK, RETRY, type ConsumeResult } from '../../../lib/client/push-consumer.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, text, useScenario, type Consuming } from './scenario.js';

describe('orderly consumption', () => {
  const scenario = useScenario();

  it('handles the messages of each key in the order they were sent, several queues at a time', async () => {
    await scenario().createTopic(4);
    const running = new Map<number, number>();
    let overlaps = 0;
    let mostAtOnce = 0;
    const { bodies, deliveries } = await scenario().consume({
      mode: 'orderly',
      handle: async ({ messages }) => {
        const { queueId } = messages[0]!;
        const before = running.get(queueId) ?? 0;
        if (before > 0) overlaps++;
        running.set(queueId, before + 1);
        mostAtOnce = Math.max(
          mostAtOnce,
          [...running.values()].reduce((sum, count) => sum + count, 0),
        );
        await new Promise((resolve) => setTimeout(resolve, 2));
        running.set(queueId, running.get(queueId)! - 1);
        return ACK;
      },
    });
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(
      keys.map((key) => scenario().sendOrdered(key, ...Array.from({ length: 30 }, (_, i) => `${key}${i}`))),
    );
    await waitFor(() => deliveries.length === 180);
    for (const key of keys) {
      expect(bodies().filter((body) => body.startsWith(key))).toEqual(
        Array.from({ length: 30 }, (_, i) => `${key}${i}`),
      );
    }
    expect(overlaps).toBe(0);
    expect(mostAtOnce).toBeGreaterThan(1);
  });

  it('keeps the queue waiting while a message fails, and counts its attempts', async () => {
    await scenario().createTopic(1);
    const { deliveries, eventsOf } = await scenario().consume({
      mode: 'orderly',
      suspendMs: 50,
      handle: ({ messages }) => {
        const [message] = messages;
        if (text(message!) === '1' && message!.attempt < 4) return { action: 'retry', delayMs: 20 };
        return ACK;
      },
    });
    await scenario().sendOrdered('k', '0', '1', '2');
    await waitFor(() => deliveries.length === 6);
    const seen = deliveries.map(({ messages: [message] }) => `${text(message!)}#${message!.attempt}`);
    expect(seen).toEqual(['0#1', '1#1', '1#2', '1#3', '1#4', '2#1']);
    expect(eventsOf('retried')).toHaveLength(3);
    await waitFor(async () => (await scenario().lag()) === 0);
  });

  it('lets later messages of a batch wait behind the one that failed', async () => {
    await scenario().createTopic(1);
    await scenario().sendMany(6);
    const { deliveries } = await scenario().consume({
      mode: 'orderly',
      batchSize: 3,
      suspendMs: 10,
      startFrom: 'first',
      handle: ({ messages }) =>
        messages.map((message): ConsumeResult =>
          text(message) === '1' && message.attempt === 1 ? RETRY : ACK,
        ),
    });
    await waitFor(() => deliveries.length === 3);
    expect(deliveries.map(({ messages }) => messages.map(text).join())).toEqual(['0,1,2', '1,2,3', '4,5']);
  });

  it('puts a message that failed too often, or is refused, into the dead letters and goes on', async () => {
    await scenario().createTopic(1);
    const { bodies, eventsOf } = await scenario().consume({
      mode: 'orderly',
      maxAttempts: 2,
      suspendMs: 10,
      handle: ({ messages }) => {
        if (text(messages[0]!) === 'fails') return RETRY;
        if (text(messages[0]!) === 'refused') return { action: 'dead-letter', reason: 'no' };
        return ACK;
      },
    });
    await scenario().sendOrdered('k', 'fails', 'refused', 'fine');
    await waitFor(() => bodies().includes('fine'));
    expect(bodies()).toEqual(['fails', 'fails', 'refused', 'fine']);
    expect(eventsOf('dead-lettered').map(({ reason }) => reason)).toEqual(['failed 2 times', 'no']);
    const dead = await scenario().deadLetters();
    await waitFor(() => dead.bodies().length === 2);
    expect(dead.bodies().sort()).toEqual(['fails', 'refused']);
  });

  it('hands a queue over without overlap, gap or repetition', async () => {
    await scenario().createTopic(4);
    const watch = new OrderWatch();
    const options = { mode: 'orderly' as const, handle: watch.handle };
    const members: Consuming[] = [await scenario().consume(options)];
    const keys = Array.from({ length: 8 }, (_, index) => `key${index}-`);
    const sending = Promise.all(
      keys.map((key) => scenario().sendOrdered(key, ...Array.from({ length: 150 }, (_, i) => `${key}${i}`))),
    );
    for (let round = 0; round < 3; round++) {
      members.push(await scenario().consume(options));
      await waitFor(() => members.filter(({ consumer }) => ownedQueues(consumer).length > 0).length >= 2);
      await members[round]!.consumer.close();
    }
    await sending;
    await waitFor(() => watch.handled === keys.length * 150, {
      describe: () => `${watch.handled} handled`,
      timeoutMs: 40_000,
    });
    expect(watch.overlaps).toBe(0);
    for (const key of keys) {
      expect(watch.bodies.filter((body) => body.startsWith(key))).toEqual(
        Array.from({ length: 150 }, (_, i) => `${key}${i}`),
      );
    }
  });

  it('hands a queue over only when the running handler has finished, and with its result', async () => {
    await scenario().createTopic(2);
    const hold = gate();
    const handle = async (): Promise<ConsumeResult> => {
      await hold.opened;
      // Slow enough for the first member to hear of the second before everything is done.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return ACK;
    };
    const first = await scenario().consume({ mode: 'orderly', handle });
    await scenario().sendMany(80);
    await waitFor(() => first.deliveries.length === 2);
    const second = await scenario().consume({ mode: 'orderly', start: 'only' });
    // The second member was given a queue, but the first one still works on it.
    await waitFor(() => first.eventsOf('assigned').length > 0);
    await waitFor(async () => (await membersOfGroup()) === 2);
    expect(second.deliveries).toHaveLength(0);
    expect(first.deliveries.every(({ context }) => !context.signal.aborted)).toBe(true);
    hold.open();
    await waitFor(() => new Set([...first.bodies(), ...second.bodies()]).size === 80);
    expect([...first.bodies(), ...second.bodies()]).toHaveLength(80);
    expect(second.bodies().length).toBeGreaterThan(0);
  });

  it('takes a queue over at once when its owner leaves', async () => {
    await scenario().createTopic(1);
    const first = await scenario().consume({ mode: 'orderly' });
    const second = await scenario().consume({ mode: 'orderly', start: 'only' });
    const [owner, other] = await waitFor(() => {
      const pair = [first, second];
      const holder = pair.find(({ consumer }) => ownedQueues(consumer).length === 1);
      return holder && [holder, pair.find((member) => member !== holder)!];
    });
    await owner!.consumer.close();
    await scenario().send('next');
    await waitFor(() => other!.bodies().length === 1);
  });

  it('gives everything back when it closes while a handler hangs', async () => {
    await scenario().createTopic(1);
    const first = await scenario().consume({
      mode: 'orderly',
      handle: () => new Promise<never>(() => undefined),
    });
    await scenario().sendMany(3);
    await waitFor(() => first.deliveries.length === 1);
    expect(await first.consumer.close(50)).toEqual({ abandoned: 1 });
    expect(first.deliveries[0]!.context.signal.aborted).toBe(true);
    const successor = await scenario().consume({ mode: 'orderly' });
    await waitFor(() => successor.bodies().length === 3);
    expect(successor.bodies()).toEqual(['0', '1', '2']);
  });

  it('pauses and goes on, in order', async () => {
    await scenario().createTopic(1);
    const { consumer, bodies } = await scenario().consume({ mode: 'orderly' });
    consumer.pause(scenario().topic);
    await scenario().sendOrdered('k', '0', '1', '2');
    await waitFor(async () => (await scenario().lag()) === 3);
    expect(bodies()).toEqual([]);
    consumer.resume(scenario().topic);
    await waitFor(() => bodies().length === 3);
    expect(bodies()).toEqual(['0', '1', '2']);
  });

  async function membersOfGroup(): Promise<number> {
    const { body } = await scenario().request(RequestCode.GET_CONSUMER_LIST_BY_GROUP, {
      consumerGroup: scenario().group,
    });
    return (JSON.parse(body.toString()) as { consumerIdList: string[] }).consumerIdList.length;
  }
});

function ownedQueues(consumer: Consuming['consumer']): string[] {
  return consumer.assignment().filter((name) => !name.startsWith('%RETRY%'));
}

/** Sees over all members whether two handlers ever work on one queue at the same time. */
class OrderWatch {
  readonly bodies: string[] = [];
  handled = 0;
  overlaps = 0;
  readonly #running = new Set<number>();

  readonly handle = async ({
    messages,
  }: {
    messages: readonly { queueId: number; body: Buffer }[];
  }): Promise<ConsumeResult> => {
    const [message] = messages;
    if (this.#running.has(message!.queueId)) this.overlaps++;
    this.#running.add(message!.queueId);
    this.bodies.push(message!.body.toString());
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.#running.delete(message!.queueId);
    this.handled++;
    return ACK;
  };
}
