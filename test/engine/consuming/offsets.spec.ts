import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MESSAGE_OVERHEAD_BYTES } from '../../../lib/client/consumer/process-queue.js';
import { ACK } from '../../../lib/client/push-consumer.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { isBroker5 } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { gate, text, useScenario } from './scenario.js';

describe('where consumption begins and what is remembered', () => {
  const scenario = useScenario();

  // Brokers of RocketMQ 4 answer 0 for a group without an offset as long as the topic is young, and it begins there.
  it.runIf(isBroker5())('begins with what comes after the start: "last"', async () => {
    await scenario().createTopic();
    await scenario().sendMany(20, 'before-');
    const { bodies } = await scenario().consume({ startFrom: 'last' });
    const after = await scenario().sendMany(20, 'after-');
    await waitFor(() => bodies().length === 20);
    expect(bodies().sort()).toEqual(after.sort());
  });

  it('begins with the oldest message: "first"', async () => {
    await scenario().createTopic();
    const all = await scenario().sendMany(20);
    const { bodies } = await scenario().consume({ startFrom: 'first' });
    await waitFor(() => bodies().length === 20);
    expect(bodies().sort()).toEqual(all.sort());
  });

  it.runIf(isBroker5())('begins with messages stored at or after a time', async () => {
    await scenario().createTopic(1);
    await scenario().send('old');
    // The broker stores milliseconds, and its clock is this machine's.
    await sleep(50);
    const since = new Date();
    await sleep(50);
    await scenario().send('new');
    const { bodies } = await scenario().consume({ startFrom: since });
    await waitFor(() => bodies().length === 1);
    expect(bodies()).toEqual(['new']);
  });

  it('continues where the group stopped, whatever startFrom says', async () => {
    await scenario().createTopic();
    const first = await scenario().consume();
    await scenario().sendMany(50, 'one-');
    await waitFor(() => first.bodies().length === 50);
    await first.consumer.close();
    const missed = await scenario().sendMany(50, 'two-');
    for (const startFrom of ['last', 'first'] as const) {
      const next = await scenario().consume({ startFrom });
      if (startFrom === 'last') await waitFor(() => next.bodies().length === 50);
      expect(next.bodies().sort()).toEqual(startFrom === 'last' ? missed.sort() : []);
      await next.consumer.close();
    }
  });

  it('loses nothing when the first member dies before it has handled anything', async () => {
    await scenario().createTopic();
    // It never reports an offset: neither by the timer nor by closing in time.
    const dying = await scenario().consume({
      offsetPersistIntervalMs: 3_600_000,
      handle: () => new Promise(() => undefined),
    });
    await scenario().sendMany(30);
    await waitFor(() => dying.deliveries.length > 0);
    void dying.consumer.close(0);
    await dying.client.close();
    const successor = await scenario().consume({ startFrom: 'last' });
    await waitFor(() => new Set(successor.bodies()).size === 30);
  });

  it('reports no offset above a message that is still being handled', async () => {
    await scenario().createTopic(1);
    const hold = gate();
    const { consumer, bodies } = await scenario().consume({
      handle: async ({ messages }) => {
        if (text(messages[0]!) === '3') await hold.opened;
        return ACK;
      },
    });
    await scenario().sendMany(20);
    await waitFor(() => bodies().length === 20);
    // Everything but number 3 is done; all of 3 to 19 is still unacknowledged at the broker.
    await waitFor(async () => (await scenario().lag()) === 17);
    hold.open();
    await waitFor(async () => (await scenario().lag()) === 0);
    await consumer.close();
  });

  it('goes back when an operator resets the group', async () => {
    await scenario().createTopic(2);
    const { bodies } = await scenario().consume({ startFrom: 'first', longPollingMs: 500 });
    await scenario().sendMany(20);
    await waitFor(() => bodies().length === 20);
    await waitFor(async () => (await scenario().lag()) === 0);
    // As `mqadmin resetOffsetByTime` does it.
    await scenario().request(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, {
      topic: scenario().topic,
      group: scenario().group,
      timestamp: 0,
      isForce: true,
    });
    await waitFor(() => bodies().length === 40);
    expect(new Set(bodies()).size).toBe(20);
  });

  it('holds the flow at the limit of messages, and lets it go on', async () => {
    await scenario().createTopic(1);
    const hold = gate();
    await scenario().sendMany(300);
    const { consumer, bodies } = await scenario().consume({
      startFrom: 'first',
      concurrency: 1,
      maxCachedMessages: 64,
      handle: async () => {
        await hold.opened;
        return ACK;
      },
    });
    await waitFor(() => consumer.inFlight === 1);
    hold.open();
    await waitFor(() => bodies().length === 300);
  });

  it('keeps the bytes of all queues within the limit', async () => {
    await scenario().createTopic(4);
    const body = Buffer.alloc(10_000, 'x');
    await scenario().send(...Array.from({ length: 200 }, () => ({ body })));
    const hold = gate();
    let most = 0;
    const { consumer, deliveries } = await scenario().consume({
      startFrom: 'first',
      concurrency: 1,
      maxCachedBytes: 100_000,
      pullBatchSize: 4,
      handle: async () => {
        await hold.opened;
        most = Math.max(most, consumer.cached().bytes);
        return ACK;
      },
    });
    await waitFor(() => deliveries.length === 1 && consumer.cached().bytes >= 100_000);
    hold.open();
    await waitFor(() => deliveries.length === 200);
    // A queue that holds nothing may always pull once, and one more pull may bring the others above the limit.
    const onePull = 4 * (body.length + MESSAGE_OVERHEAD_BYTES);
    expect(most).toBeLessThan(100_000 + 4 * onePull);
  });

  it('goes back to what the broker has when the offset is beyond it', async () => {
    const group = uniqueName('group');
    await scenario().createTopic(1);
    await scenario().sendMany(5);
    await (await scenario().observer()).admin.createGroup(group);
    await scenario().request(RequestCode.UPDATE_CONSUMER_OFFSET, {
      topic: scenario().topic,
      consumerGroup: group,
      queueId: 0,
      commitOffset: 1_000,
    });
    const { bodies } = await scenario().consume({ group });
    const fresh = await scenario().sendMany(5, 'new-');
    await waitFor(() => fresh.every((body) => bodies().includes(body)));
  });
});
