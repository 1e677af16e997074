import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { createRocketMQClient } from '../lib/client/client-factory.js';
import type { DeliveryContext, MessageHandler } from '../lib/client/push-consumer.js';
import type { ReceivedMessage } from '../lib/message/message.js';
import { CLIENT_FACTORY } from '../lib/module/module.tokens.js';
import type { ClientFactory } from '../lib/module/rocketmq-connection.js';
import type { RocketMQModuleOptions } from '../lib/module/rocketmq-module-options.js';
import { RocketMQModule } from '../lib/module/rocketmq.module.js';
import { timed, type Round } from './measure.js';

/** A Nest application with real listener containers, whose handlers get messages without a broker in between. */
export interface HandOver {
  readonly app: INestApplication;
  /** What the engine would call. */
  readonly handler: (group: string) => MessageHandler;
}

/** On the in-process engine, whose consumers tell their handler when they are made. */
export async function startHandOver(
  metadata: ModuleMetadata,
  options: Partial<RocketMQModuleOptions> = {},
): Promise<HandOver> {
  const handlers = new Map<string, MessageHandler>();
  const createClient: ClientFactory = (clientOptions) => {
    const client = createRocketMQClient(clientOptions);
    const create = client.createPushConsumer.bind(client);
    client.createPushConsumer = (consumerOptions) => {
      handlers.set(consumerOptions.group, consumerOptions.handler);
      return create(consumerOptions);
    };
    return client;
  };
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [
      ...(metadata.imports ?? []),
      RocketMQModule.forRoot({ engine: 'memory', topics: 'create', logging: false, ...options }),
    ],
  })
    .overrideProvider(CLIENT_FACTORY)
    .useValue(createClient)
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  return {
    app,
    handler: (group) => {
      const handler = handlers.get(group);
      if (handler === undefined) throw new Error(`No consumer of group ${group}`);
      return handler;
    },
  };
}

const NEVER: AbortSignal = new AbortController().signal;

let sequence = 0;

/** A message as the engine hands it over, with an id of its own. */
export function receivedMessage(topic: string, body: Buffer): ReceivedMessage {
  sequence++;
  return {
    topic,
    body,
    tag: undefined,
    keys: [],
    orderingKey: undefined,
    headers: {},
    properties: {},
    messageId: sequence.toString(16).toUpperCase().padStart(32, '0'),
    offsetMessageId: sequence.toString(16).padStart(32, '0'),
    attempt: 1,
    brokerName: 'bench',
    queueId: 0,
    queueOffset: sequence,
    bornTimestamp: 0,
    bornHost: '127.0.0.1:1',
    storeTimestamp: 0,
    storeHost: '127.0.0.1:10911',
    transactionId: undefined,
  };
}

/**
 * Hands messages over for about the time given, `concurrency` calls of `batch` messages at a time, as the consumer's
 * dispatcher does. Counts messages.
 */
export function handOver(
  handler: MessageHandler,
  message: { readonly topic: string; readonly body: Buffer },
  { concurrency, batch = 1, durationMs }: { concurrency: number; batch?: number; durationMs: number },
): Promise<Round> {
  const context: DeliveryContext = { group: 'bench', signal: NEVER };
  const end = performance.now() + durationMs;
  const worker = async (): Promise<number> => {
    let done = 0;
    while (performance.now() < end) {
      const messages = Array.from({ length: batch }, () => receivedMessage(message.topic, message.body));
      const answer = await handler(messages, context);
      const result = Array.isArray(answer)
        ? (answer[0] as { action: string })
        : (answer as { action: string });
      if (result.action !== 'ack') throw new Error(`A handler of the bench failed: ${result.action}`);
      done += batch;
    }
    return done;
  };
  return timed(async () => {
    const counts = await Promise.all(Array.from({ length: concurrency }, worker));
    return counts.reduce((sum, count) => sum + count, 0);
  });
}
