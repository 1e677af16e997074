import { checkGroup, checkMessage, DEFAULT_MAX_BODY_BYTES } from '../../message/message-limits.js';
import type { Message, MessageQueue, ReceivedMessage } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { pause } from '../clock.js';
import { REPLY_TOPIC_SUFFIX } from '../namespace.js';
import { PartialBatchError } from '../partial-batch-error.js';
import { PendingReplies, replyAddress } from '../pending-replies.js';
import type {
  HalfMessage,
  Producer,
  ProducerOptions,
  Reply,
  RequestResult,
  TransactionCheck,
} from '../producer.js';
import { selectQueueByHash } from '../queue-selectors.js';
import type { SendOptions, SendReceipt } from '../send.js';
import { checkBatch, splitBatch } from './batch-rules.js';
import type { BrokerRequestKind } from './broker-faults.js';
import { InFlightLimit } from './in-flight-limit.js';
import type { StoreAnswer } from './memory-broker.js';
import type { MemoryClientContext, Membership } from './memory-client-context.js';
import { Property } from './message-properties.js';
import {
  LOCAL_HOST,
  checkPropertiesLength,
  messageIdOf,
  offsetMessageIdOf,
  toProperties,
  toReceivedMessage,
  type MessageToStore,
} from './stored-message.js';
import { TransactionAnswers } from './transaction-answers.js';

/** The in-process broker is a cluster of its own. */
const CLUSTER = 'memory';
/** Before the broker is tried again; grows with every attempt. */
const RETRY_PAUSE_MS = 50;

type Queue = Pick<MessageQueue, 'topic' | 'queueId'>;

/** Sends to the in-process broker. */
export class MemoryProducer implements Producer {
  readonly group: string;
  readonly #context: MemoryClientContext;
  readonly #sendTimeoutMs: number;
  readonly #maxAttempts: number;
  readonly #maxMessageSize: number;
  readonly #inFlight: InFlightLimit;
  readonly #transactions: TransactionAnswers;
  readonly #membership: Membership;
  readonly #replies: PendingReplies;
  #endOfReplies: (() => void) | undefined;
  /** Next queue in turn, by topic. */
  readonly #turns = new Map<string, number>();
  #state: 'new' | 'started' | 'closed' = 'new';

  constructor(context: MemoryClientContext, options: ProducerOptions, membership: Membership) {
    checkGroup(options.group);
    this.#context = context;
    this.group = options.group;
    this.#sendTimeoutMs = options.sendTimeoutMs ?? 3_000;
    this.#maxAttempts = options.maxAttempts ?? 3;
    this.#maxMessageSize = options.maxMessageSize ?? DEFAULT_MAX_BODY_BYTES;
    this.#inFlight = new InFlightLimit(
      options.maxInFlight ?? 4_096,
      options.onMaxInFlight ?? 'wait',
      context.clock,
    );
    this.#transactions = new TransactionAnswers(context, context.namespace.wrap(options.group));
    this.#membership = membership;
    this.#replies = new PendingReplies(context.clock);
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    if (this.#state === 'closed') throw this.#closedError();
    this.#membership.join();
    this.#transactions.register();
    this.#state = 'started';
    await Promise.resolve();
  }

  async send(message: Message, options: SendOptions = {}): Promise<SendReceipt> {
    this.#check(message);
    const prepared = this.#prepare(message);
    return this.#limited(1, options, async () => {
      const [receipt] = await this.#deliver('send', message, [prepared], options);
      return receipt!;
    });
  }

  async request(message: Message, options: SendOptions = {}): Promise<RequestResult> {
    this.#check(message);
    const { broker, clientId, clock, namespace } = this.#context;
    this.#endOfReplies ??= broker.awaitReplies(clientId, (correlationId, reply) =>
      this.#replies.take(
        correlationId,
        toReceivedMessage(reply, broker.name, (topic) => namespace.unwrap(topic)),
      ),
    );
    const timeoutMs = options.timeoutMs ?? this.#sendTimeoutMs;
    const limits = { deadline: clock.monotonic() + timeoutMs, signal: options.signal };
    return this.#replies.ask(message.topic, limits, async (correlationId) => {
      const prepared = this.#prepare(message, this.#messageId(message), {
        [Property.CORRELATION_ID]: correlationId,
        [Property.REPLY_TO_CLIENT]: clientId,
        [Property.TTL]: String(timeoutMs),
        [Property.CLUSTER]: CLUSTER,
      });
      return this.#limited(1, options, async () => {
        const [receipt] = await this.#deliver('send', message, [prepared], options);
        return receipt!;
      });
    });
  }

  async reply(
    request: ReceivedMessage,
    { body, headers }: Reply,
    options: Pick<SendOptions, 'timeoutMs' | 'signal'> = {},
  ): Promise<void> {
    this.#check({ topic: request.topic, body, headers });
    const { cluster, correlationId, clientId, ttl } = replyAddress(request);
    const topic = cluster + REPLY_TOPIC_SUFFIX;
    const { broker, connection } = this.#context;
    const reply = this.#prepare({ topic, body, headers }, undefined, {
      [Property.MESSAGE_TYPE]: 'reply',
      [Property.CORRELATION_ID]: correlationId,
      [Property.REPLY_TO_CLIENT]: clientId,
      ...(ttl === undefined ? {} : { [Property.TTL]: ttl }),
    });
    await this.#limited(1, options, () =>
      connection.request({ kind: 'send', topic }, () => broker.pushReply(clientId, correlationId, reply), {
        timeoutMs: options.timeoutMs ?? this.#sendTimeoutMs,
        signal: options.signal,
      }),
    );
  }

  async sendOneWay(
    message: Message,
    options: Pick<SendOptions, 'queue' | 'selector' | 'signal'> = {},
  ): Promise<void> {
    this.#check(message);
    const prepared = this.#prepare(message);
    // Handing it over may fail, what happens behind that goes unnoticed.
    this.#context.connection.assertUp('send-one-way');
    await this.#limited(1, options, () =>
      this.#deliver('send-one-way', message, [prepared], options).catch((error: unknown) => {
        this.#context.log('debug', `A one-way message for "${message.topic}" was lost.`, error);
      }),
    );
  }

  async sendBatch(messages: readonly Message[], options: SendOptions = {}): Promise<readonly SendReceipt[]> {
    this.#assertStarted();
    if (messages.length === 0) return [];
    checkBatch(messages, options.queue !== undefined);
    for (const message of messages) this.#check(message);
    const first = messages[0]!;
    const parts = splitBatch(
      messages.map((message) => this.#prepare(message)),
      this.#maxMessageSize,
    );
    return this.#limited(messages.length, options, async () => {
      const receipts: SendReceipt[] = [];
      for (const part of parts) {
        try {
          receipts.push(...(await this.#deliver('send-batch', first, part, options)));
        } catch (error) {
          if (receipts.length === 0) throw error;
          throw new PartialBatchError(error, receipts, messages.length);
        }
      }
      return receipts;
    });
  }

  async sendHalf(message: Message, options: SendOptions = {}): Promise<HalfMessage> {
    this.#check(message);
    this.#transactions.assertCheck();
    if (message.delivery !== undefined) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `A transactional message for "${message.topic}" cannot be delayed. Send a delayed message when its transaction is done.`,
      );
    }
    const messageId = this.#messageId(message);
    const prepared = this.#prepare(message, messageId, {
      [Property.PREPARED]: 'true',
      [Property.PRODUCER_GROUP]: this.#transactions.group,
      [Property.TRANSACTION_ID]: messageId,
    });
    return this.#limited(1, options, async () => {
      const [receipt] = await this.#deliver('send-half', message, [prepared], options);
      return this.#transactions.open({ ...receipt!, transactionId: messageId });
    });
  }

  setTransactionCheck(check: TransactionCheck): void {
    this.#transactions.setCheck(check);
  }

  async recall(topic: string, recallHandle: string): Promise<string> {
    this.#assertStarted();
    const { broker, connection, namespace, requestTimeoutMs } = this.#context;
    const name = namespace.wrap(topic);
    return connection.request(
      { kind: 'recall', topic: name },
      () => broker.delayed.recall(name, recallHandle),
      { timeoutMs: requestTimeoutMs },
    );
  }

  async close(timeoutMs = 3_000): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#membership.leave();
    this.#transactions.unregister();
    const enough = new AbortController();
    await Promise.race([
      Promise.all([this.#inFlight.whenIdle(), this.#transactions.whenIdle()]),
      pause(this.#context.clock, timeoutMs, enough.signal),
    ]);
    enough.abort();
    this.#endReplies();
  }

  /** The process died: nobody waits for anything any more. */
  die(): void {
    this.#state = 'closed';
    this.#transactions.unregister();
    this.#endReplies();
  }

  #endReplies(): void {
    this.#endOfReplies?.();
    this.#replies.close(this.#closedError());
  }

  #check(message: Message): void {
    this.#assertStarted();
    checkMessage(message, this.#maxMessageSize);
    if (message.messageId !== undefined && !/^\S+$/.test(message.messageId)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Message id "${message.messageId}" is empty or has white space. Leave it out, or use the messageId of an earlier receipt.`,
      );
    }
  }

  #assertStarted(): void {
    if (this.#state === 'started') return;
    throw this.#state === 'closed'
      ? this.#closedError()
      : new RocketMQError(
          'CLOSED',
          `Producer "${this.group}" was not started. Await start() before sending.`,
        );
  }

  #messageId({ messageId }: Message): string {
    return messageId ?? this.#context.uniqueKeys.next();
  }

  #prepare(
    message: Message,
    messageId = this.#messageId(message),
    more: Readonly<Record<string, string>> = {},
  ): MessageToStore {
    const properties = { ...toProperties(message, messageId), ...more };
    checkPropertiesLength(message.topic, properties);
    return {
      topic: this.#context.namespace.wrap(message.topic),
      queueId: 0,
      // What the caller does to its buffer afterwards must not reach anybody.
      body: Buffer.from(message.body),
      properties,
      bornTimestamp: this.#context.clock.now(),
      bornHost: LOCAL_HOST,
      reconsumeTimes: 0,
    };
  }

  #limited<T>(messages: number, options: SendOptions, work: () => Promise<T>): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#sendTimeoutMs;
    return this.#inFlight.run(messages, timeoutMs, options.signal, work);
  }

  /** Tries until it is stored, or the attempts or the time are used up; a resend keeps the unique keys. */
  async #deliver(
    kind: BrokerRequestKind,
    message: Message,
    messages: readonly MessageToStore[],
    options: SendOptions,
  ): Promise<SendReceipt[]> {
    const { clock, connection } = this.#context;
    const deadline = clock.monotonic() + (options.timeoutMs ?? this.#sendTimeoutMs);
    const isChosen = Boolean(options.queue ?? options.selector ?? message.orderingKey);
    const attempts = isChosen ? 1 : this.#maxAttempts;
    const messageIds = messages.map(({ properties }) => messageIdOf(properties));
    for (let attempt = 1; ; attempt++) {
      try {
        const queue = this.#chooseQueue(message, options);
        const placed = messages.map((each) => ({ ...each, queueId: queue.queueId }));
        const answers = await connection.request(
          { kind, topic: queue.topic, queueId: queue.queueId, messageIds },
          () => this.#store(kind, placed),
          { timeoutMs: deadline - clock.monotonic(), signal: options.signal },
        );
        return answers.map((answer, index) =>
          this.#receipt(message.topic, messageIds[index]!, queue.queueId, answer),
        );
      } catch (error) {
        if (attempt >= attempts || !isWorthAnother(error) || clock.monotonic() >= deadline) throw error;
        await pause(clock, RETRY_PAUSE_MS * attempt, options.signal);
        if (clock.monotonic() >= deadline) throw error; // the pause may have lasted longer than it should
      }
    }
  }

  #store(kind: BrokerRequestKind, messages: readonly MessageToStore[]): readonly StoreAnswer[] {
    const { broker } = this.#context;
    if (kind !== 'send-half') return broker.storeAll(messages);
    return messages.map((message) => broker.storeHalf(this.#transactions.group, message));
  }

  #chooseQueue(message: Message, { queue, selector }: SendOptions): Queue {
    const topic = this.#context.namespace.wrap(message.topic);
    const count = this.#context.broker.writableQueues(topic);
    if (!queue && !selector && message.orderingKey === undefined) {
      const turn = this.#turns.get(topic) ?? 0;
      this.#turns.set(topic, turn + 1);
      return { topic, queueId: turn % count };
    }
    const brokerName = this.#context.broker.name;
    const queues = Array.from({ length: count }, (_, queueId) => ({
      topic: message.topic,
      brokerName,
      queueId,
    }));
    const chosen = queue ?? (selector ?? selectQueueByHash)(queues, message, message.orderingKey ?? '');
    const found = queues.find(
      (each) =>
        each.queueId === chosen?.queueId &&
        each.brokerName === chosen.brokerName &&
        each.topic === chosen.topic,
    );
    if (found) return { topic, queueId: found.queueId };
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `The queue chosen for "${message.topic}" is not one of its ${count} queues. Choose an element of the array a selector is given, or a queue of a receipt.`,
    );
  }

  #receipt(topic: string, messageId: string, queueId: number, answer: StoreAnswer): SendReceipt {
    const receipt: SendReceipt = {
      messageId,
      topic,
      brokerName: this.#context.broker.name,
      queueId,
      queueOffset: answer.queueOffset,
      status: 'SEND_OK',
      offsetMessageId: offsetMessageIdOf(answer.commitLogOffset),
    };
    return answer.recallHandle === undefined ? receipt : { ...receipt, recallHandle: answer.recallHandle };
  }

  #closedError(): RocketMQError {
    return new RocketMQError(
      'CLOSED',
      `Producer "${this.group}" was closed. Create a new one from an open client.`,
    );
  }
}

/** A broker that is busy or away may take the same message a moment later. */
function isWorthAnother(error: unknown): boolean {
  return (
    error instanceof RocketMQError && (error.code === 'CONNECTION_FAILED' || error.code === 'BROKER_BUSY')
  );
}
