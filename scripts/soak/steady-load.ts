import { setTimeout as delay } from 'node:timers/promises';
import { createRocketMQClient } from '../../lib/client/client-factory.js';
import type { RocketMQClient } from '../../lib/client/rocketmq-client.js';

const TICK_MS = 100;
const BODY_BYTES = 512;

/** Sends numbered messages at a steady rate and remembers what the broker acknowledged. */
export class SteadyLoad {
  readonly acknowledged = new Set<number>();
  failures = 0;
  readonly #client: RocketMQClient;
  readonly #topic: string;
  readonly #perSecond: number;
  #next = 0;

  constructor(nameServer: string, topic: string, perSecond: number) {
    this.#client = createRocketMQClient({ nameServer });
    this.#topic = topic;
    this.#perSecond = perSecond;
  }

  async createTopic(queues: number): Promise<void> {
    await this.#client.start();
    await this.#client.admin.createTopic(this.#topic, { queues });
  }

  /** Resolves when the signal has aborted and every send has its answer. */
  async run(signal: AbortSignal): Promise<void> {
    const producer = this.#client.createProducer({ group: `${this.#topic}-load`, sendTimeoutMs: 20_000 });
    await producer.start();
    const begin = performance.now();
    const open = new Set<Promise<void>>();
    while (!signal.aborted) {
      const due = Math.floor(((performance.now() - begin) / 1000) * this.#perSecond);
      for (; this.#next < due; this.#next++) {
        const number = this.#next;
        const body = Buffer.alloc(BODY_BYTES);
        body.writeUInt32BE(number);
        const sending = producer
          .send({ topic: this.#topic, body })
          .then(
            () => void this.acknowledged.add(number),
            () => void this.failures++,
          )
          .finally(() => open.delete(sending));
        open.add(sending);
      }
      await delay(TICK_MS, undefined, { signal }).catch(() => undefined);
    }
    await Promise.all(open);
    await producer.close();
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
