import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock, type Clock, type ClockTimer } from '../../../lib/client/clock.js';
import { RETRY, type PushConsumer, type PushConsumerOptions } from '../../../lib/client/push-consumer.js';
import { RequestCode } from '../../../lib/client/remoting/protocol/request-code.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { useScenario } from './scenario.js';

describe('closing', () => {
  const scenario = useScenario();

  it('leaves no timer and no socket, whatever was under way', async () => {
    await scenario().createTopic(4);
    const folder = await mkdtemp(join(tmpdir(), 'rocketmq-offsets-'));
    const socketsBefore = sockets();
    const clock = new CountingClock();
    const client = await scenario().client({ clock });
    const calls: string[] = [];
    const kinds: Record<string, Partial<PushConsumerOptions>> = {
      concurrent: {},
      orderly: { mode: 'orderly' },
      broadcasting: { model: 'broadcasting', offsetStoreFolder: folder },
      paused: {},
    };
    const consumers: PushConsumer[] = [];
    for (const [kind, options] of Object.entries(kinds)) {
      const consumer = client.createPushConsumer({
        group: uniqueName(kind),
        subscriptions: [{ topic: scenario().topic }],
        ...options,
        handler: async ([message]) => {
          calls.push(kind);
          if (message!.queueOffset % 2 === 0) return RETRY;
          return new Promise<never>(() => undefined);
        },
      });
      await consumer.start();
      consumers.push(consumer);
    }
    const pull = client.createPullConsumer({ group: uniqueName('pull') });
    await pull.start();
    await pull.subscribe({ topic: scenario().topic });
    await Promise.all(consumers.map((consumer) => consumer.whenAssigned(AbortSignal.timeout(20_000))));
    consumers.at(-1)!.pause();
    const polling = pull.poll(60_000);
    const second = pull.poll(60_000);
    await scenario().sendMany(80);
    await waitFor(() => new Set(calls).size === 3);
    expect(clock.pending).toBeGreaterThan(0);
    expect(sockets()).toBeGreaterThan(socketsBefore);

    await Promise.all(consumers.map((consumer) => consumer.close(100)));
    await client.close();
    await Promise.all([polling, second]);

    expect(clock.pending).toBe(0);
    await waitFor(() => sockets() === socketsBefore);
    await rm(folder, { recursive: true });
  });

  it('also when nothing was ever assigned or started', async () => {
    const clock = new CountingClock();
    const client = await scenario().client({ clock });
    const options = { group: uniqueName('g'), subscriptions: [{ topic: uniqueName('nowhere') }] };
    const failing = client.createPushConsumer({ ...options, handler: async () => RETRY });
    await expect(failing.start()).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    client.createPushConsumer({ ...options, group: uniqueName('never'), handler: async () => RETRY });
    client.createPullConsumer({ group: uniqueName('never') });
    await client.close();
    expect(clock.pending).toBe(0);
  });

  it('of a consumer that was refused leaves the one of the same group alone', async () => {
    await scenario().createTopic(1);
    const { client, bodies, consumer } = await scenario().consume();
    const same = { group: scenario().group, subscriptions: [{ topic: scenario().topic }] };
    const push = client.createPushConsumer({ ...same, handler: async () => RETRY });
    await expect(push.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await push.close();
    const pull = client.createPullConsumer({ group: scenario().group });
    await expect(pull.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await pull.close();
    const { body } = await scenario().request(RequestCode.GET_CONSUMER_LIST_BY_GROUP, {
      consumerGroup: scenario().group,
    });
    expect(body.toString()).toContain(client.clientId);
    await scenario().send('still here');
    await waitFor(() => bodies().length === 1);
    expect(consumer.assignment()).toContain(`${scenario().topic}@broker-a:0`);
  });

  it('can begin while the start is under way', async () => {
    await scenario().createTopic();
    const clock = new CountingClock();
    const client = await scenario().client({ clock });
    const consumer = client.createPushConsumer({
      group: uniqueName('g'),
      subscriptions: [{ topic: scenario().topic }],
      handler: async () => RETRY,
    });
    const starting = consumer.start().catch((error: unknown) => error);
    const assigned = consumer.whenAssigned().catch((error: unknown) => error);
    await consumer.close();
    await starting;
    expect(await assigned).toMatchObject({ code: 'CLOSED' });
    await expect(consumer.start()).rejects.toMatchObject({ code: 'CLOSED' });
    await client.close();
    expect(clock.pending).toBe(0);
  });
});

function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}

/** Knows how many timers wait. */
class CountingClock implements Clock {
  readonly #timers = new Set<ClockTimer>();

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return systemClock.now();
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  setTimeout(callback: () => void, ms: number): ClockTimer {
    const timer = systemClock.setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: ClockTimer): void {
    this.#timers.delete(timer);
    systemClock.clearTimeout(timer);
  }
}
