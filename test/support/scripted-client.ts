import type { Admin, TopicOptions, TopicType } from '../../lib/client/admin.js';
import type { Capability } from '../../lib/client/capabilities.js';
import type {
  HalfMessage,
  Producer,
  ProducerOptions,
  Reply,
  RequestResult,
} from '../../lib/client/producer.js';
import type { PullConsumer } from '../../lib/client/pull-consumer.js';
import type {
  CachedMessages,
  ConsumeResult,
  ConsumerEvent,
  PushConsumer,
  PushConsumerOptions,
} from '../../lib/client/push-consumer.js';
import type { ConnectionState, RocketMQClient } from '../../lib/client/rocketmq-client.js';
import type { SendOptions, SendReceipt } from '../../lib/client/send.js';
import type { Subscription } from '../../lib/client/subscription.js';
import type { Message, ReceivedMessage } from '../../lib/message/message.js';
import { RocketMQError } from '../../lib/message/rocketmq-error.js';

export const ALL_CAPABILITIES: readonly Capability[] = [
  'one-way',
  'batch',
  'ordered',
  'delay-level',
  'timer',
  'recall',
  'transaction',
  'broadcasting',
  'orderly',
  'pull',
  'seek',
  'sql92',
  'start-from-timestamp',
  'request-reply',
  'query',
  'admin',
];

let sequence = 0;

/** A message as a broker would hand it over; JSON body unless a Buffer is given. */
export function received(body: unknown, own: Partial<ReceivedMessage> = {}): ReceivedMessage {
  sequence++;
  return {
    topic: 'orders',
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    tag: undefined,
    keys: [],
    orderingKey: undefined,
    headers: {},
    properties: {},
    messageId: sequence.toString(16).toUpperCase().padStart(32, '0'),
    offsetMessageId: sequence.toString(16).padStart(32, '0'),
    attempt: 1,
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset: sequence,
    bornTimestamp: 0,
    bornHost: '127.0.0.1:1',
    storeTimestamp: 0,
    storeHost: '127.0.0.1:10911',
    transactionId: undefined,
    ...own,
  };
}

/** A push consumer that gets its messages from the test. */
export class ScriptedConsumer implements PushConsumer {
  started = false;
  closed = false;
  inFlight = 0;
  readonly paused = new Set<string>();
  readonly abort = new AbortController();
  private readonly listeners: ((event: ConsumerEvent) => void)[] = [];

  constructor(
    readonly options: PushConsumerOptions,
    private readonly client: ScriptedClient,
  ) {}

  get group(): string {
    return this.options.group;
  }

  cached(): CachedMessages {
    return { messages: this.inFlight, bytes: 0 };
  }

  /** Hands messages over in one call and resolves with one result per message. */
  async deliver(...messages: ReceivedMessage[]): Promise<readonly ConsumeResult[]> {
    this.inFlight++;
    try {
      const context = { group: this.group, signal: this.abort.signal };
      const result = await this.options.handler(messages, context);
      return Array.isArray(result)
        ? (result as readonly ConsumeResult[])
        : messages.map(() => result as ConsumeResult);
    } finally {
      this.inFlight--;
    }
  }

  start(): Promise<void> {
    if (this.client.consumerError !== undefined) return Promise.reject(this.client.consumerError);
    this.started = true;
    this.client.log.push(`consumer ${this.group} started`);
    return Promise.resolve();
  }

  pause(topic = '*'): void {
    this.paused.add(topic);
  }

  resume(topic = '*'): void {
    this.paused.delete(topic);
  }

  subscribe(_subscription: Subscription): Promise<void> {
    return Promise.resolve();
  }

  unsubscribe(_topic: string): Promise<void> {
    return Promise.resolve();
  }

  whenAssigned(): Promise<void> {
    return Promise.resolve();
  }

  assignment(): readonly string[] {
    return this.options.subscriptions.map(({ topic }) => `${topic}@broker-a:0`);
  }

  onEvent(listener: (event: ConsumerEvent) => void): void {
    this.listeners.push(listener);
  }

  emit(event: ConsumerEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  close(): Promise<{ abandoned: number }> {
    if (!this.closed) this.client.log.push(`consumer ${this.group} closed`);
    this.closed = true;
    return Promise.resolve({ abandoned: 0 });
  }
}

export class ScriptedProducer implements Producer {
  readonly sent: { message: Message; options: SendOptions | undefined }[] = [];
  startError: Error | undefined;

  constructor(
    readonly options: ProducerOptions,
    private readonly client: ScriptedClient,
  ) {}

  get group(): string {
    return this.options.group;
  }

  start(): Promise<void> {
    this.client.log.push(`producer ${this.group} started`);
    return Promise.resolve();
  }

  send(message: Message, options?: SendOptions): Promise<SendReceipt> {
    if (this.client.sendError !== undefined) return Promise.reject(this.client.sendError);
    this.sent.push({ message, options });
    return Promise.resolve(receipt(message, this.sent.length));
  }

  async sendOneWay(message: Message): Promise<void> {
    await this.send(message);
  }

  sendBatch(messages: readonly Message[], options?: SendOptions): Promise<readonly SendReceipt[]> {
    return Promise.all(messages.map((message) => this.send(message, options)));
  }

  sendHalf(): Promise<HalfMessage> {
    return Promise.reject(new Error('not scripted'));
  }

  async request(message: Message, options?: SendOptions): Promise<RequestResult> {
    const sent = await this.send(message, options);
    return { receipt: sent, reply: received(this.client.reply) };
  }

  reply(request: ReceivedMessage, { body }: Reply): Promise<void> {
    if (this.client.sendError !== undefined) return Promise.reject(this.client.sendError);
    this.client.replies.push({ request, body: body.toString() });
    return Promise.resolve();
  }

  setTransactionCheck(): void {}

  recall(_topic: string, handle: string): Promise<string> {
    return Promise.resolve(handle);
  }

  close(): Promise<void> {
    this.client.log.push(`producer ${this.group} closed`);
    return Promise.resolve();
  }
}

function receipt(message: Message, index: number): SendReceipt {
  return {
    messageId: message.messageId ?? index.toString(16).padStart(32, '0'),
    topic: message.topic,
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset: index,
    status: 'SEND_OK',
    offsetMessageId: index.toString(16).padStart(32, '0'),
  };
}

/**
 * The port, driven by hand: for tests of what happens around handlers. It proves nothing about messaging; that is
 * what the tests with a real broker are for.
 */
export class ScriptedClient implements RocketMQClient {
  readonly engine = 'memory';
  readonly clientId = 'scripted';
  readonly consumers: ScriptedConsumer[] = [];
  readonly producers: ScriptedProducer[] = [];
  /** Name to type; undefined: brokers know no types. */
  readonly topics = new Map<string, TopicType | undefined>();
  /** What happened, in order. */
  readonly log: string[] = [];
  capabilities: ReadonlySet<Capability> = new Set(ALL_CAPABILITIES);
  startError: Error | undefined;
  consumerError: Error | undefined;
  /** What every request is answered. */
  reply: unknown = null;
  readonly replies: { readonly request: ReceivedMessage; readonly body: string }[] = [];
  sendError: Error | undefined;
  state: ConnectionState = 'connecting';
  private readonly listeners: ((state: ConnectionState) => void)[] = [];

  constructor(...topics: string[]) {
    for (const topic of topics) this.topics.set(topic, undefined);
  }

  consumer(group: string): ScriptedConsumer {
    const found = this.consumers.findLast((each) => each.group === group);
    if (found === undefined) throw new Error(`No consumer of group ${group}`);
    return found;
  }

  start(): Promise<void> {
    if (this.startError !== undefined) {
      this.enter('down');
      return Promise.reject(this.startError);
    }
    this.log.push('client started');
    this.enter('up');
    return Promise.resolve();
  }

  createProducer(options: ProducerOptions): Producer {
    const producer = new ScriptedProducer(options, this);
    this.producers.push(producer);
    return producer;
  }

  createPushConsumer(options: PushConsumerOptions): PushConsumer {
    const consumer = new ScriptedConsumer(options, this);
    this.consumers.push(consumer);
    return consumer;
  }

  createPullConsumer(): PullConsumer {
    throw new Error('not scripted');
  }

  get admin(): Admin {
    return {
      createTopic: (topic: string, { type = 'NORMAL' }: TopicOptions = {}) => {
        this.topics.set(topic, type);
        return Promise.resolve();
      },
      describeTopic: (topic: string) => Promise.resolve({ topic, queues: 4, type: this.topics.get(topic) }),
      topicExists: (topic: string) => Promise.resolve(this.topics.has(topic)),
    } as unknown as Admin;
  }

  checkConnection(): Promise<ConnectionState> {
    return Promise.resolve(this.state);
  }

  onStateChange(listener: (state: ConnectionState) => void): void {
    this.listeners.push(listener);
  }

  enter(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.listeners) listener(state);
  }

  close(): Promise<void> {
    if (this.state !== 'closed') this.log.push('client closed');
    this.enter('closed');
    return Promise.resolve();
  }
}

export function connectionFailed(): RocketMQError {
  return new RocketMQError('CONNECTION_FAILED', 'Nobody answers at scripted:9876. Start RocketMQ.', {
    retryable: true,
  });
}
