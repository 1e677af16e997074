import { describe, expect, it } from 'vitest';
import { ACK, type ConsumeResult } from '../../../lib/client/push-consumer.js';
import { waitFor } from '../../support/wait-for.js';
import { text, useScenario, type Consuming, type Delivery } from './scenario.js';

const MESSAGES = 3_000;
const MEMBERS_AT_ONCE = 3;
const CHANGES = 8;

describe('members that come and go under load', () => {
  const scenario = useScenario();

  it.each(['concurrent', 'orderly'] as const)('lose nothing, %s', async (mode) => {
    await scenario().createTopic(8);
    const watch = new ChurnWatch();
    const consume = (): Promise<Consuming> =>
      scenario().consume({ mode, startFrom: 'first', handle: watch.handle, start: 'only' });
    const members: Consuming[] = [];
    for (let index = 0; index < MEMBERS_AT_ONCE; index++) members.push(await consume());
    const sending = sendSteadily();
    for (let change = 0; change < CHANGES; change++) {
      await waitFor(() => watch.seen.size > (change * MESSAGES) / (CHANGES + 2));
      const [leaving] = members.splice(0, 1);
      const [, joined] = await Promise.all([leaving!.consumer.close(), consume()]);
      members.push(joined);
    }
    await sending;
    await waitFor(() => watch.seen.size === MESSAGES, {
      timeoutMs: 60_000,
      describe: () => `${watch.seen.size} of ${MESSAGES} handled`,
    });
    await waitFor(async () => (await scenario().lag()) === 0);
    if (mode === 'concurrent') return;
    expect(watch.overlaps).toEqual([]);
    expect(watch.outOfOrder).toEqual([]);
  });

  async function sendSteadily(): Promise<void> {
    for (let from = 0; from < MESSAGES; from += 100) {
      await scenario().sendMany(100, `${from}-`);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
});

/** Over all members: what was handled, and whether two handlers were ever at work on one queue, or went back in it. */
class ChurnWatch {
  readonly seen = new Set<string>();
  readonly overlaps: string[] = [];
  /** Not behind what was handled before it in its queue: a repetition, or a wrong order. */
  readonly outOfOrder: string[] = [];
  readonly #running = new Map<number, string>();
  readonly #lastOffset = new Map<number, number>();

  readonly handle = async ({ messages }: Delivery): Promise<ConsumeResult> => {
    const [message] = messages;
    const other = this.#running.get(message!.queueId);
    if (other !== undefined)
      this.overlaps.push(`${other} and ${text(message!)} in queue ${message!.queueId}`);
    this.#running.set(message!.queueId, text(message!));
    if ((this.#lastOffset.get(message!.queueId) ?? -1) >= message!.queueOffset) {
      this.outOfOrder.push(`${text(message!)} in queue ${message!.queueId}`);
    }
    this.#lastOffset.set(message!.queueId, message!.queueOffset);
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.#running.delete(message!.queueId);
    this.seen.add(text(message!));
    return ACK;
  };
}
