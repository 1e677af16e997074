import { afterEach } from 'vitest';
import type { Message, MessageQueue, ReceivedMessage } from '../../../lib/message/message.js';
import { systemClock } from '../../../lib/client/clock.js';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { Producer } from '../../../lib/client/producer.js';
import type { PullConsumer, PullConsumerOptions } from '../../../lib/client/pull-consumer.js';
import type {
  ConsumeResult,
  ConsumerEvent,
  DeliveryContext,
  PushConsumer,
  PushConsumerOptions,
} from '../../../lib/client/push-consumer.js';
import { ACK } from '../../../lib/client/push-consumer.js';
import { RemotingChannels } from '../../../lib/client/remoting/network/remoting-channels.js';
import type { RemotingCommand } from '../../../lib/client/remoting/protocol/remoting-command.js';
import type { ClientOptions, RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

type Answer = ConsumeResult | readonly ConsumeResult[];

/** One handler call, as it was seen. */
export interface Delivery {
  readonly messages: readonly ReceivedMessage[];
  readonly context: DeliveryContext;
}

/** A consumer under test with what it did. */
export interface Consuming {
  readonly consumer: PushConsumer;
  readonly client: RocketMQClient;
  /** Handler calls, in the order they began. */
  readonly deliveries: Delivery[];
  readonly events: ConsumerEvent[];
  /** Bodies in the order handlers saw them. */
  readonly bodies: () => string[];
  readonly eventsOf: <T extends ConsumerEvent['type']>(type: T) => Extract<ConsumerEvent, { type: T }>[];
}

export type ConsumingOptions = Partial<Omit<PushConsumerOptions, 'handler'>> & {
  readonly topic?: string;
  readonly handle?: (delivery: Delivery) => Promise<Answer> | Answer;
  readonly client?: Partial<ClientOptions>;
  /** Do not wait until queues are assigned. */
  readonly start?: 'whenAssigned' | 'only';
};

/** Topics, producers and consumers of one test; everything is closed after it. */
export class Scenario {
  readonly topic = uniqueName('consuming');
  readonly group = uniqueName('group');
  readonly #closing: (() => Promise<unknown>)[] = [];
  readonly #nameServer: () => string;
  #shared: Promise<{ client: RocketMQClient; producer: Producer }> | undefined;

  constructor(nameServerOfTest: () => string = nameServer) {
    this.#nameServer = nameServerOfTest;
  }

  async client(options: Partial<ClientOptions> = {}): Promise<RocketMQClient> {
    const client = createRocketMQClient({
      nameServer: this.#nameServer(),
      instanceName: uniqueName('member'),
      ...options,
    });
    this.#closing.push(() => client.close());
    await client.start();
    return client;
  }

  /** The client that sends and looks. */
  async observer(): Promise<RocketMQClient> {
    return (await this.#own()).client;
  }

  async createTopic(queues = 4, topic = this.topic): Promise<string> {
    await (await this.observer()).admin.createTopic(topic, { queues });
    return topic;
  }

  async send(...messages: (string | Partial<Message>)[]): Promise<void> {
    const { producer } = await this.#own();
    for (const message of messages) {
      const given = typeof message === 'string' ? { body: Buffer.from(message) } : message;
      await producer.send({ topic: this.topic, body: Buffer.from('-'), ...given });
    }
  }

  async sendTo(queue: MessageQueue, body: string): Promise<void> {
    const { producer } = await this.#own();
    await producer.send({ topic: queue.topic, body: Buffer.from(body) }, { queue });
  }

  /** `count` messages with the bodies `prefix0` and so on, in batches. */
  async sendMany(count: number, prefix = ''): Promise<string[]> {
    const { producer } = await this.#own();
    const bodies = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
    // A batch goes to one queue: several, so that every queue gets something.
    const size = Math.min(32, Math.ceil(count / 8));
    for (let from = 0; from < count; from += size) {
      await producer.sendBatch(
        bodies.slice(from, from + size).map((body) => ({ topic: this.topic, body: Buffer.from(body) })),
      );
    }
    return bodies;
  }

  /** The queues of the topic, the first ones with `each` messages of their own. */
  async queuesWithMessages(queues: number, each: number): Promise<MessageQueue[]> {
    const { producer } = await this.#own();
    const result: MessageQueue[] = [];
    for (let queueId = 0; queueId < queues; queueId++) {
      const queue = { topic: this.topic, brokerName: 'broker-a', queueId };
      const bodies = Array.from({ length: each }, (_, index) => Buffer.from(`${queueId}:${index}`));
      await producer.sendBatch(
        bodies.map((body) => ({ topic: this.topic, body })),
        { queue },
      );
      result.push(queue);
    }
    return result;
  }

  /** Ordered by key; one message after the other. */
  async sendOrdered(key: string, ...bodies: string[]): Promise<void> {
    for (const body of bodies) await this.send({ body: Buffer.from(body), orderingKey: key });
  }

  async consume(options: ConsumingOptions = {}): Promise<Consuming> {
    const { topic = this.topic, handle, client: clientOptions, start = 'whenAssigned', ...rest } = options;
    const client = await this.client(clientOptions);
    const deliveries: Delivery[] = [];
    const events: ConsumerEvent[] = [];
    const consumer = client.createPushConsumer({
      group: this.group,
      subscriptions: [{ topic }],
      offsetPersistIntervalMs: 200,
      ...rest,
      handler: async (messages, context) => {
        const delivery = { messages, context };
        deliveries.push(delivery);
        return handle ? handle(delivery) : ACK;
      },
    });
    consumer.onEvent((event) => events.push(event));
    await consumer.start();
    if (start === 'whenAssigned') await consumer.whenAssigned(AbortSignal.timeout(20_000));
    return {
      consumer,
      client,
      deliveries,
      events,
      bodies: () => deliveries.flatMap(({ messages }) => messages.map(text)),
      eventsOf: <T extends ConsumerEvent['type']>(type: T) =>
        events.filter((event): event is Extract<ConsumerEvent, { type: T }> => event.type === type),
    };
  }

  async pullConsumer(options: Partial<PullConsumerOptions> = {}): Promise<PullConsumer> {
    const consumer = (await this.client()).createPullConsumer({ group: this.group, ...options });
    await consumer.start();
    return consumer;
  }

  /** Consumes the dead letters of the group; their topic appears with the first one. */
  async deadLetters(): Promise<Consuming> {
    const topic = `%DLQ%${this.group}`;
    const { admin } = await this.observer();
    await waitFor(() => admin.topicExists(topic), { describe: topic });
    return this.consume({ group: uniqueName('dead'), topic, startFrom: 'first' });
  }

  /** Messages the group has not acknowledged, according to the broker. */
  async lag(group = this.group, topic = this.topic): Promise<number> {
    return (await (await this.observer()).admin.lag(group, topic)).total;
  }

  /** Asks the broker something this library does not ask by itself. */
  async request(
    code: number,
    fields: Record<string, string | number | boolean>,
    { body, brokerId = 0 }: { readonly body?: unknown; readonly brokerId?: number } = {},
  ): Promise<RemotingCommand> {
    const brokers = await (await this.observer()).admin.brokers();
    const address = brokers
      .map(({ addresses }) => addresses.get(brokerId))
      .find((known) => known !== undefined);
    const channels = new RemotingChannels({
      connectTimeoutMs: 3_000,
      clock: systemClock,
      log: () => undefined,
    });
    try {
      const response = await channels.invoke(
        address!,
        { code, fields, ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }) },
        { timeoutMs: 5_000 },
      );
      if (response.code !== 0) throw new Error(`${response.code} ${response.remark ?? ''}`);
      return response;
    } finally {
      await channels.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.splice(0).map((close) => close()));
  }

  #own(): Promise<{ client: RocketMQClient; producer: Producer }> {
    this.#shared ??= (async () => {
      const client = await this.client();
      const producer = client.createProducer({ group: uniqueName('producer') });
      await producer.start();
      return { client, producer };
    })();
    return this.#shared;
  }
}

export const text = ({ body }: ReceivedMessage): string => body.toString();

/** Gives each test of the file a scenario of its own. @param nameServerOfTest default: of the test run's cluster */
export function useScenario(nameServerOfTest?: () => string): () => Scenario {
  let scenario = new Scenario(nameServerOfTest);
  afterEach(async () => {
    const finished = scenario;
    scenario = new Scenario(nameServerOfTest);
    await finished.close();
  });
  return () => scenario;
}

/** A promise to be settled from outside: holds a handler until the test lets it go. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
