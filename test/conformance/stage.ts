import { afterEach, expect } from 'vitest';
import type { Message, MessageQueue, ReceivedMessage } from '../../lib/message/message.js';
import { RocketMQError, type RocketMQErrorCode } from '../../lib/message/rocketmq-error.js';
import type { Producer, ProducerOptions } from '../../lib/client/producer.js';
import type { PullConsumer, PullConsumerOptions } from '../../lib/client/pull-consumer.js';
import {
  ACK,
  type ConsumeResult,
  type ConsumerEvent,
  type DeliveryContext,
  type PushConsumer,
  type PushConsumerOptions,
} from '../../lib/client/push-consumer.js';
import type { RocketMQClient } from '../../lib/client/rocketmq-client.js';
import { uniqueName } from '../support/names.js';
import { waitFor } from '../support/wait-for.js';
import type { CommonClientOptions, EngineUnderTest } from './engine-under-test.js';

/** What became of one message in a consumer of the stage; for batches see `calls`. */
export type Handle = (
  message: ReceivedMessage,
  context: DeliveryContext,
) => ConsumeResult | Promise<ConsumeResult>;

export interface ConsumeOptions extends Omit<Partial<PushConsumerOptions>, 'handler' | 'subscriptions'> {
  readonly subscriptions?: PushConsumerOptions['subscriptions'];
  /** @default acknowledge */
  readonly handle?: Handle;
  readonly client?: RocketMQClient;
}

/** A started push consumer and everything it was handed. */
export interface Reception {
  readonly consumer: PushConsumer;
  readonly group: string;
  /** In the order of the handler calls. */
  readonly messages: readonly ReceivedMessage[];
  /** The messages of each handler call. */
  readonly calls: readonly (readonly ReceivedMessage[])[];
  readonly events: readonly ConsumerEvent[];
  bodies(): string[];
  /** Waits until so many messages were handed over. */
  received(count: number): Promise<void>;
}

/** What a test needs of an engine; everything it makes is closed at the end of the test. */
export class Stage {
  readonly engine: EngineUnderTest;
  readonly #clients: RocketMQClient[] = [];

  constructor(engine: EngineUnderTest) {
    this.engine = engine;
  }

  /** A started client of its own. */
  async newClient(options?: CommonClientOptions): Promise<RocketMQClient> {
    const client = this.engine.createClient(options);
    this.#clients.push(client);
    await client.start();
    return client;
  }

  /** The client of everything that names no other. */
  async client(): Promise<RocketMQClient> {
    return this.#clients[0] ?? this.newClient();
  }

  async topic(queues = 4): Promise<string> {
    const topic = uniqueName('topic');
    await (await this.client()).admin.createTopic(topic, { queues });
    return topic;
  }

  async producer(options: Partial<ProducerOptions> & { client?: RocketMQClient } = {}): Promise<Producer> {
    const { client = await this.client(), ...rest } = options;
    const producer = client.createProducer({ group: uniqueName('producer'), ...rest });
    await producer.start();
    return producer;
  }

  /** Starts a consumer of the topic and waits until it has its queues. */
  async consume(topic: string, options: ConsumeOptions = {}): Promise<Reception> {
    const { client = await this.client(), handle = () => ACK, ...rest } = options;
    const messages: ReceivedMessage[] = [];
    const calls: (readonly ReceivedMessage[])[] = [];
    const events: ConsumerEvent[] = [];
    const group = rest.group ?? uniqueName('group');
    const consumer = client.createPushConsumer({
      subscriptions: [{ topic }],
      suspendMs: 50,
      offsetPersistIntervalMs: 200,
      ...rest,
      group,
      handler: async (batch, context) => {
        messages.push(...batch);
        calls.push(batch);
        const results: ConsumeResult[] = [];
        for (const message of batch) results.push(await handle(message, context));
        return results;
      },
    });
    consumer.onEvent((event) => events.push(event));
    await consumer.start();
    await consumer.whenAssigned();
    return {
      consumer,
      group,
      messages,
      calls,
      events,
      bodies: () => messages.map(text),
      received: async (count) => {
        await waitFor(() => messages.length >= count, {
          describe: () => `${count} messages; there are ${messages.length}: ${messages.map(text).join(' ')}`,
        });
      },
    };
  }

  async pullConsumer(
    options: Partial<PullConsumerOptions> & { client?: RocketMQClient } = {},
  ): Promise<PullConsumer> {
    const { client = await this.client(), ...rest } = options;
    const consumer = client.createPullConsumer({ group: uniqueName('group'), autoCommit: false, ...rest });
    await consumer.start();
    return consumer;
  }

  /** The dead letters of a group, as a consumer of them sees them. */
  async deadLetters(group: string): Promise<Reception> {
    const topic = `%DLQ%${group}`;
    const client = await this.client();
    await waitFor(() => client.admin.topicExists(topic), { describe: `the topic ${topic}` });
    return this.consume(topic, { startFrom: 'first' });
  }

  /** Messages of the topic the group has not acknowledged. */
  async lag(group: string, topic: string): Promise<number> {
    return (await (await this.client()).admin.lag(group, topic)).total;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
  }
}

/** The stage of the current test. */
export function useStage(engine: EngineUnderTest): () => Stage {
  let stage: Stage | undefined;
  afterEach(async () => {
    await stage?.close();
    stage = undefined;
  });
  return () => (stage ??= new Stage(engine));
}

export function message(topic: string, body: string, more: Partial<Message> = {}): Message {
  return { topic, body: Buffer.from(body), ...more };
}

export function text({ body }: Pick<ReceivedMessage, 'body'>): string {
  return body.toString();
}

export function numbered(count: number, prefix = 'm'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** Expects a RocketMQError of this code and gives it back. */
export async function refusal(work: Promise<unknown>, code: RocketMQErrorCode): Promise<RocketMQError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RocketMQError);
  expect((error as RocketMQError).code).toBe(code);
  return error as RocketMQError;
}

/** A door handlers wait at. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

export function queueName({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}:${queueId}`;
}
