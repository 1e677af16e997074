import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type Stack } from '../../../scripts/stack/stack.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';
import { useScenario } from './scenario.js';

/** The only broker there is, of its own: this test takes it down. */
describe('the only broker', () => {
  let stack: Stack;
  const scenario = useScenario(() => stack.nameServer);
  const unhandled: unknown[] = [];
  const remember = (reason: unknown): void => void unhandled.push(reason);

  beforeAll(async () => {
    process.on('unhandledRejection', remember);
    stack = await startStack({ name: uniqueName('restart'), brokerHeapMb: 512 });
  }, 180_000);
  afterAll(async () => {
    await stack?.stop();
    process.off('unhandledRejection', remember);
  }, 120_000);

  it('is killed and comes back: consumers of every kind go on by themselves and miss nothing', async () => {
    await scenario().createTopic(2);
    const concurrent = await scenario().consume();
    const orderly = await scenario().consume({ group: uniqueName('orderly'), mode: 'orderly' });
    const pull = await scenario().pullConsumer({ group: uniqueName('pull') });
    await pull.subscribe({ topic: scenario().topic });
    const polled: string[] = [];
    const poll = async (): Promise<void> => {
      for (const { body } of await pull.poll(200)) polled.push(body.toString());
    };
    const queue = { topic: scenario().topic, brokerName: 'broker-a', queueId: 0 };
    const sent = Array.from({ length: 30 }, (_, index) => `${index}`);
    const seen = [concurrent.bodies, orderly.bodies, () => polled];
    const allSaw = async (count: number): Promise<boolean> => {
      await poll();
      return seen.every((bodies) => new Set(bodies()).size === count);
    };
    for (const body of sent.slice(0, 15)) await scenario().sendTo(queue, body);
    await waitFor(() => allSaw(15));

    await stack.broker('broker-a').kill();
    await poll();
    await stack.broker('broker-a').start();
    for (const body of sent.slice(15)) {
      await waitFor(
        () =>
          scenario()
            .sendTo(queue, body)
            .then(() => true),
        { timeoutMs: 60_000 },
      );
    }

    await waitFor(() => allSaw(30), {
      timeoutMs: 90_000,
      describe: () => seen.map((bodies) => bodies().join()).join(' | '),
    });
    // Repetitions are possible after a crash, but never a gap or a step back in between.
    expect([...new Set(orderly.bodies())]).toEqual(sent);
    await waitFor(async () => (await scenario().lag()) === 0, { timeoutMs: 60_000 });
    expect(unhandled).toEqual([]);
  }, 240_000);
});
