import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RemoteBrokerOffsetStore } from '../../../lib/client/consumer/remote-broker-offset-store.js';
import type { MessageQueue } from '../../../lib/message/message.js';

const queue = (queueId: number, topic = 'orders'): MessageQueue => ({
  topic,
  brokerName: 'broker-a',
  queueId,
});

/** Answers when it is told to. */
class SlowBroker {
  readonly requests: string[] = [];
  readonly #answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  disconnect: () => void = () => undefined;

  readonly onDisconnect = (listener: () => void): (() => void) => {
    this.disconnect = listener;
    return () => undefined;
  };

  readonly committedOffset = (): Promise<undefined> => Promise.resolve(undefined);

  readonly commitOffset = ({ topic, queueId }: MessageQueue, offset: number): Promise<void> => {
    this.requests.push(`${topic}:${queueId}=${offset}`);
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  };

  /** Answers what is under way. */
  async answer(error?: Error): Promise<string[]> {
    await nextTurn();
    const answered = this.requests.splice(0);
    for (const { resolve, reject } of this.#answers.splice(0)) {
      if (error) reject(error);
      else resolve();
    }
    return answered;
  }
}

describe('offsets of a group at its broker', () => {
  it('are told one at a time until a first one was acknowledged, for a broker may lose one of two that come together', async () => {
    const broker = new SlowBroker();
    const store = new RemoteBrokerOffsetStore(broker);
    const persisted = store.persist([1, 2, 3].map((id) => ({ queue: queue(id), offset: id })));
    expect(await broker.answer()).toEqual(['orders:1=1']);
    expect(await broker.answer()).toEqual(['orders:2=2', 'orders:3=3']);
    await persisted;
  });

  it('wait for no other topic', async () => {
    const broker = new SlowBroker();
    const store = new RemoteBrokerOffsetStore(broker);
    const persisted = store.persist(
      ['orders', 'stock'].map((topic) => ({ queue: queue(0, topic), offset: 1 })),
    );
    expect(await broker.answer()).toEqual(['orders:0=1', 'stock:0=1']);
    await persisted;
  });

  it('go alone again after the first one failed', async () => {
    const broker = new SlowBroker();
    const store = new RemoteBrokerOffsetStore(broker);
    const persisted = store.persist([1, 2, 3].map((id) => ({ queue: queue(id), offset: id })));
    const refused = expect(persisted).rejects.toThrow('busy');
    expect(await broker.answer(new Error('busy'))).toEqual(['orders:1=1']);
    expect(await broker.answer()).toEqual(['orders:2=2']);
    expect(await broker.answer()).toEqual(['orders:3=3']);
    await refused;
  });

  it('are told twice at first, since another member may have been at it too, and then only when they change', async () => {
    const broker = new SlowBroker();
    const store = new RemoteBrokerOffsetStore(broker);
    const round = async (offset: number): Promise<string[]> => {
      const persisted = store.persist([{ queue: queue(1), offset }]);
      const answered = await broker.answer();
      await persisted;
      return answered;
    };
    expect(await round(5)).toEqual(['orders:1=5']);
    expect(await round(5)).toEqual(['orders:1=5']);
    expect(await round(5)).toEqual([]);
    expect(await round(6)).toEqual(['orders:1=6']);
    expect(await round(6)).toEqual([]);
    broker.disconnect();
    expect(await round(6)).toEqual(['orders:1=6']);
  });
});
