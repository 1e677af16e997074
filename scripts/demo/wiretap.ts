import {
  createRocketMQClient,
  type Producer,
  type ReceivedMessage,
  type RocketMQClient,
} from 'nestjs-rocketmq';
import { until } from './until.js';

const TOPICS = ['orders', 'inventory', 'payments', 'order-deadlines'] as const;

export interface SeenMessage {
  /** When the broker stored it, or when it reached us if the broker's clock is another one. Epoch milliseconds. */
  readonly at: number;
  readonly message: ReceivedMessage;
  /** The same message was here before. */
  readonly repeated: boolean;
}

/** Listens to everything the services tell each other, with a consumer group of its own; and can say it again. */
export class Wiretap {
  private readonly seen: SeenMessage[] = [];

  private constructor(
    private readonly client: RocketMQClient,
    private readonly producer: Producer,
  ) {}

  static async start(nameServer: string, namespace: string | undefined): Promise<Wiretap> {
    const client = createRocketMQClient({ nameServer, ...(namespace !== undefined && { namespace }) });
    const producer = client.createProducer({ group: 'wiretap' });
    let tap: Wiretap | undefined;
    const consumer = client.createPushConsumer({
      group: 'wiretap',
      subscriptions: TOPICS.map((topic) => ({ topic })),
      startFrom: 'first',
      handler: (messages) => {
        for (const message of messages) tap?.note(message);
        return Promise.resolve({ action: 'ack' });
      },
    });
    tap = new Wiretap(client, producer);
    await client.start();
    await producer.start();
    await consumer.start();
    await consumer.whenAssigned();
    return tap;
  }

  /** What was said about an order so far. */
  about(orderId: string): readonly SeenMessage[] {
    return this.seen.filter(({ message }) => message.keys.includes(orderId));
  }

  /** Waits for a message about an order. */
  heard(orderId: string, tag: string): Promise<ReceivedMessage> {
    return until(`${tag} of order ${orderId} at the broker`, () =>
      Promise.resolve(this.about(orderId).find(({ message }) => message.tag === tag)?.message),
    );
  }

  /**
   * Sends a message once more, as a producer does that did not get the answer to its first attempt: same identity,
   * same content. The broker cannot tell; consumers have to.
   */
  async repeat(message: ReceivedMessage): Promise<void> {
    await this.producer.send({
      topic: message.topic,
      body: message.body,
      tag: message.tag,
      keys: message.keys,
      headers: message.headers,
      orderingKey: message.orderingKey,
      messageId: message.messageId,
    });
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  private note(message: ReceivedMessage): void {
    const now = Date.now();
    const clocksAgree = Math.abs(now - message.storeTimestamp) < 1_000;
    this.seen.push({
      at: clocksAgree ? message.storeTimestamp : now,
      message,
      repeated: this.seen.some((seen) => seen.message.messageId === message.messageId),
    });
  }
}
