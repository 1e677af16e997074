import { describe, expect, it } from 'vitest';
import { ConsumerReports } from '../../../lib/client/consumer/consumer-reports.js';
import { StartPosition } from '../../../lib/client/consumer/start-position.js';
import type { StartFrom } from '../../../lib/client/push-consumer.js';
import type { MessageQueue } from '../../../lib/message/message.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';

const queue = (queueId: number, topic = 'orders'): MessageQueue => ({
  topic,
  brokerName: 'broker-a',
  queueId,
});

/** A queue with offsets 100 to 500, of which those from 400 on were stored after the given time. */
function setUp(startFrom: StartFrom) {
  const clock = new FakeClock();
  const broker = {
    stored: new Map<number, number>(),
    known: new Map<number, number>(),
    searched: [] as number[],
  };
  const position = new StartPosition(
    startFrom,
    {
      read: async ({ queueId }) => broker.stored.get(queueId),
      lastKnown: ({ queueId }) => broker.known.get(queueId),
      persist: async (offsets) => {
        for (const { queue: each, offset } of offsets) {
          broker.stored.set(each.queueId, offset);
          broker.known.set(each.queueId, offset);
        }
      },
    },
    {
      minOffset: async () => 100,
      maxOffset: async () => 500,
      searchOffset: async (_queue, timestamp) => {
        broker.searched.push(timestamp);
        return 400;
      },
    },
    clock,
    new ConsumerReports('group', () => undefined),
  );
  return { clock, broker, position };
}

describe('a queue that was just assigned', () => {
  it('goes on at the offset of the group, whatever startFrom says', async () => {
    for (const startFrom of ['first', 'last', new Date(5)] as const) {
      const { broker, position } = setUp(startFrom);
      broker.stored.set(0, 250);
      expect(await position.of(queue(0))).toBe(250);
    }
  });

  it.each([
    ['last', 500],
    ['first', 100],
    [new Date(5), 400],
  ] as const)('begins where a new group starts, %s, and stores it at once', async (startFrom, expected) => {
    const { broker, position } = setUp(startFrom);
    expect(await position.of(queue(0))).toBe(expected);
    expect(broker.stored.get(0)).toBe(expected);
  });

  it('of a retry topic begins at its first message', async () => {
    const { position } = setUp('last');
    expect(await position.of(queue(0, '%RETRY%group'))).toBe(100);
  });

  it('goes on where this member was, when a killed broker has lost the offset', async () => {
    const { broker, position } = setUp('last');
    broker.known.set(0, 480);
    expect(await position.of(queue(0))).toBe(480);
  });

  it('counts as one that came later, when it is not the queue this member remembers: its broker began anew', async () => {
    const { broker, position } = setUp('last');
    broker.known.set(0, 9_000);
    position.settled('orders');
    expect(await position.of(queue(0))).toBe(400);
  });

  it('of a new group with "first" is not shortened by what this member remembers', async () => {
    const { broker, position } = setUp('first');
    broker.known.set(0, 480);
    expect(await position.of(queue(0))).toBe(100);
  });

  it('that came later begins with what was stored since this member began', async () => {
    const { broker, clock, position } = setUp('last');
    const begun = clock.now();
    expect(await position.of(queue(0))).toBe(500);
    position.settled('orders');
    await clock.advance(60_000);
    expect(await position.of(queue(1))).toBe(400);
    expect(broker.searched).toEqual([begun]);
  });

  it('of a topic subscribed anew counts as the first again', async () => {
    const { position } = setUp('last');
    await position.of(queue(0));
    position.settled('orders');
    position.forget('orders');
    expect(await position.of(queue(1))).toBe(500);
  });
});
