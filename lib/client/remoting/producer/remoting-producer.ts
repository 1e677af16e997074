import { setMaxListeners } from 'node:events';
import type { Message, MessageQueue, ReceivedMessage } from '../../../message/message.js';
import { checkGroup, checkMessage, checkTopic } from '../../../message/message-limits.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { pause } from '../../clock.js';
import { PartialBatchError } from '../../partial-batch-error.js';
import type {
  HalfMessage,
  Producer,
  ProducerOptions,
  Reply,
  RequestResult,
  TransactionCheck,
} from '../../producer.js';
import { selectQueueByHash } from '../../queue-selectors.js';
import type { SendOptions, SendReceipt } from '../../send.js';
import type { ClientInstance } from '../client-instance.js';
import { encodeBatch } from '../protocol/batch-encoder.js';
import { MessageSysFlag } from '../protocol/message-sys-flag.js';
import { encodeProperties } from '../protocol/message-properties.js';
import { PropertyName } from '../protocol/property-name.js';
import { checkBatch, splitBatch, type BatchItem } from './batches.js';
import { HalfMessages } from './half-messages.js';
import { InFlightLimit } from './in-flight-limit.js';
import { MessageSender, type Delivery, type Packet, type SendTarget } from './message-sender.js';
import { MQFaultStrategy } from './mq-fault-strategy.js';
import {
  checkMessageId,
  checkPropertiesLength,
  compressBody,
  encodeMessageProperties,
  isTimerMessage,
} from './outgoing-message.js';
import { withProducerDefaults } from './producer-defaults.js';
import { PublishTopics } from './publish-topics.js';
import { recallMessage } from './recall-message.js';
import { replyPacket, Requests } from './requests.js';
import { toBatchReceipts, toReceipt } from './send-receipt.js';
import { checkTimerSupport } from './timer-support.js';
import { TransactionChecks } from './transaction-checks.js';

const NO_OPTIONS: SendOptions = {};

/** (Java: `DefaultMQProducer`, `TransactionMQProducer`.) */
export class RemotingProducer implements Producer {
  readonly group: string;
  readonly #instance: ClientInstance;
  readonly #options: Required<ProducerOptions>;
  /** As brokers know the group. */
  readonly #brokerGroup: string;
  readonly #instanceId: string | undefined;
  readonly #topics: PublishTopics;
  readonly #sender: MessageSender;
  readonly #inFlight: InFlightLimit;
  readonly #halfMessages: HalfMessages;
  readonly #checks: TransactionChecks;
  readonly #requests: Requests;
  readonly #onClosed: () => void;
  #state: 'created' | 'started' | 'closed' = 'created';
  #closing: Promise<void> | undefined;

  /**
   * @param onClosed called once, when nothing of the producer is left
   * @throws RocketMQError `INVALID_ARGUMENT` or `INVALID_CONFIGURATION`
   */
  constructor(instance: ClientInstance, options: ProducerOptions, onClosed: () => void = () => undefined) {
    checkGroup(options.group);
    this.#options = withProducerDefaults(options);
    this.#instance = instance;
    this.#onClosed = onClosed;
    this.group = options.group;
    this.#brokerGroup = instance.namespace.wrap(options.group);
    this.#instanceId = instance.namespace.name;
    this.#topics = new PublishTopics(instance);
    this.#sender = new MessageSender(
      instance,
      this.#brokerGroup,
      this.#topics,
      new MQFaultStrategy(this.#options.latencyAware, instance.clock),
      this.#options.onNotFullyStored,
    );
    this.#inFlight = new InFlightLimit(
      this.#options.maxInFlight,
      this.#options.onMaxInFlight,
      instance.clock,
    );
    this.#halfMessages = new HalfMessages(instance, this.#brokerGroup);
    this.#checks = new TransactionChecks(instance, this.#brokerGroup, this.#halfMessages);
    this.#requests = new Requests(instance);
  }

  /** Messages on their way now. */
  get inFlight(): number {
    return this.#inFlight.count;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    if (this.#state === 'closed') throw this.#notUsable();
    const checks = this.#checks;
    const requests = this.#requests;
    this.#instance.registerProducer(this.#brokerGroup, {
      get transactional() {
        return checks.hasCheck;
      },
      get requesting() {
        return requests.used;
      },
      onReply: (correlationId, reply) => requests.take(correlationId, reply),
      onCheck: (request) => checks.onCheck(request),
    });
    this.#state = 'started';
    await Promise.resolve();
  }

  async send(message: Message, options: SendOptions = NO_OPTIONS): Promise<SendReceipt> {
    this.#check(message);
    const messageId = this.#messageId(message);
    return this.#sendOne(message, messageId, this.#properties(message, messageId), options);
  }

  async request(message: Message, options: SendOptions = NO_OPTIONS): Promise<RequestResult> {
    this.#check(message);
    const messageId = this.#messageId(message);
    const properties = this.#properties(message, messageId);
    const target = this.#target(options);
    return this.#requests.ask(message.topic, target, (more) => {
      checkPropertiesLength(properties + more, message.topic);
      return this.#sendOne(message, messageId, properties + more, options, target);
    });
  }

  async reply(
    request: ReceivedMessage,
    reply: Reply,
    options: Pick<SendOptions, 'timeoutMs' | 'signal'> = NO_OPTIONS,
  ): Promise<void> {
    this.#check({ topic: request.topic, ...reply });
    const target = this.#target(options);
    const packet = await replyPacket(request, reply, {
      messageId: this.#instance.uniqueKeys.next(),
      bornTimestamp: this.#instance.clock.now(),
      compressAboveBytes: this.#options.compressAboveBytes,
    });
    if (!this.#inFlight.tryEnter(1)) await this.#inFlight.enter(1, target.deadline, options.signal);
    try {
      await this.#sender.send(packet, target);
    } finally {
      this.#inFlight.leave(1);
    }
  }

  async #sendOne(
    message: Message,
    messageId: string,
    properties: string,
    options: SendOptions,
    target: SendTarget = this.#target(options),
  ): Promise<SendReceipt> {
    if (!this.#inFlight.tryEnter(1)) await this.#inFlight.enter(1, target.deadline, options.signal);
    try {
      const delivery = await this.#deliver(message, properties, 0, target, options);
      return toReceipt(delivery, message.topic, messageId);
    } finally {
      this.#inFlight.leave(1);
    }
  }

  /** Brokers work on several requests of a connection at once: one-way messages of a key may change places. */
  async sendOneWay(
    message: Message,
    options: Pick<SendOptions, 'queue' | 'selector' | 'signal'> = NO_OPTIONS,
  ): Promise<void> {
    this.#check(message);
    const properties = this.#properties(message, this.#messageId(message));
    const target = this.#target(options);
    if (!this.#inFlight.tryEnter(1)) await this.#inFlight.enter(1, target.deadline, options.signal);
    try {
      const queue = await this.#chosenQueue(message, target, options);
      const chosen = queue === undefined ? target : { ...target, queue };
      if (isTimerMessage(message))
        await checkTimerSupport(this.#instance, this.#sender, message.topic, chosen);
      await this.#sender.sendOneWay(await this.#packet(message, properties, 0), chosen);
    } finally {
      this.#inFlight.leave(1);
    }
  }

  async sendBatch(
    messages: readonly Message[],
    options: SendOptions = NO_OPTIONS,
  ): Promise<readonly SendReceipt[]> {
    this.#assertUsable();
    if (messages.length === 0) return [];
    checkBatch(messages, options.queue !== undefined);
    const items = messages.map((message): BatchItem => {
      checkMessage(message, this.#options.maxMessageSize);
      const messageId = this.#messageId(message);
      return { message, messageId, properties: this.#properties(message, messageId) };
    });
    const target = this.#target(options);
    const receipts: SendReceipt[] = [];
    // One after the other: messages of one key stay in order, and after a failure it is known what was stored.
    for (const part of splitBatch(items, this.#options.maxMessageSize)) {
      try {
        receipts.push(...(await this.#sendPart(part, target, options)));
      } catch (error) {
        if (receipts.length === 0) throw error;
        throw new PartialBatchError(error, receipts, messages.length);
      }
    }
    return receipts;
  }

  async sendHalf(message: Message, options: SendOptions = NO_OPTIONS): Promise<HalfMessage> {
    this.#check(message);
    if (message.delivery !== undefined) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `A transactional message cannot be delayed; the one for "${message.topic}" is. Leave delivery out.`,
      );
    }
    if (!this.#checks.hasCheck) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `The producer of group "${this.group}" has no transaction check, so that a lost commit could never be found out. Call setTransactionCheck first.`,
      );
    }
    const messageId = this.#messageId(message);
    const properties = this.#properties(message, messageId, this.#brokerGroup);
    const target = this.#target(options);
    if (!this.#inFlight.tryEnter(1)) await this.#inFlight.enter(1, target.deadline, options.signal);
    try {
      const prepared = MessageSysFlag.TRANSACTION_PREPARED_TYPE;
      const delivery = await this.#deliver(message, properties, prepared, target, options);
      const receipt = toReceipt(delivery, message.topic, messageId);
      return this.#halfMessages.add({ ...receipt, transactionId: messageId });
    } finally {
      this.#inFlight.leave(1);
    }
  }

  setTransactionCheck(check: TransactionCheck): void {
    const first = !this.#checks.hasCheck;
    this.#checks.setCheck(check);
    // Half messages of an earlier process may wait at any broker.
    if (first && this.#state === 'started') void this.#instance.heartbeat();
  }

  async recall(topic: string, recallHandle: string): Promise<string> {
    this.#assertUsable();
    checkTopic(topic);
    return recallMessage(this.#instance, this.#brokerGroup, topic, recallHandle, {
      timeoutMs: this.#options.sendTimeoutMs,
    });
  }

  close(timeoutMs = 3_000): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    const started = this.#state === 'started';
    this.#state = 'closed';
    const settled = new AbortController();
    const drained = Promise.all([this.#inFlight.whenIdle(), this.#checks.close()]);
    await Promise.race([
      drained.then(() => settled.abort()),
      pause(this.#instance.clock, timeoutMs, settled.signal),
    ]);
    settled.abort();
    this.#inFlight.close(this.#notUsable());
    this.#requests.close(this.#notUsable());
    if (started) await this.#instance.unregisterProducer(this.#brokerGroup);
    this.#topics.close();
    this.#onClosed();
  }

  /** The message on its way, tried again as the options say. Mostly one promise: this is the hot path. */
  #deliver(
    message: Message,
    properties: string,
    transactionFlag: number,
    target: SendTarget,
    options: SendOptions,
  ): Promise<Delivery> {
    const packet = this.#packet(message, properties, transactionFlag);
    const queue = this.#chosenQueue(message, target, options);
    if (packet instanceof Promise || queue instanceof Promise || isTimerMessage(message)) {
      return this.#deliverPrepared(message, packet, queue, target);
    }
    return this.#sender.send(packet, queue === undefined ? target : { ...target, queue });
  }

  async #deliverPrepared(
    message: Message,
    packet: Packet | Promise<Packet>,
    queue: MessageQueue | undefined | Promise<MessageQueue>,
    target: SendTarget,
  ): Promise<Delivery> {
    const [ready, chosen] = await Promise.all([packet, queue]);
    const to = chosen === undefined ? target : { ...target, queue: chosen };
    if (isTimerMessage(message)) await checkTimerSupport(this.#instance, this.#sender, message.topic, to);
    return this.#sender.send(ready, to);
  }

  async #sendPart(
    part: readonly BatchItem[],
    target: SendTarget,
    options: SendOptions,
  ): Promise<readonly SendReceipt[]> {
    const [{ message, messageId, properties }] = part as readonly [BatchItem, ...BatchItem[]];
    const weight = this.#inFlight.weightOf(part.length);
    if (!this.#inFlight.tryEnter(weight)) await this.#inFlight.enter(weight, target.deadline, options.signal);
    try {
      if (part.length === 1) {
        return [
          toReceipt(await this.#deliver(message, properties, 0, target, options), message.topic, messageId),
        ];
      }
      const queue = await this.#chosenQueue(message, target, options);
      const packet: Packet = {
        topic: message.topic,
        body: encodeBatch(
          part.map((item) => ({ flag: 0, body: item.message.body, properties: item.properties })),
        ),
        sysFlag: 0,
        properties: encodeProperties({
          [PropertyName.WAIT_STORE_MSG_OK]: String(message.waitStoreOk ?? true),
        }),
        bornTimestamp: this.#instance.clock.now(),
        batch: true,
      };
      const delivery = await this.#sender.send(packet, queue === undefined ? target : { ...target, queue });
      return toBatchReceipts(
        delivery,
        message.topic,
        part.map((item) => item.messageId),
      );
    } finally {
      this.#inFlight.leave(weight);
    }
  }

  #packet(message: Message, properties: string, transactionFlag: number): Packet | Promise<Packet> {
    const { topic, body } = message;
    const bornTimestamp = this.#instance.clock.now();
    if (body.length < this.#options.compressAboveBytes) {
      return { topic, body, sysFlag: transactionFlag, properties, bornTimestamp };
    }
    const encoded = compressBody(body);
    const finish = (compressed: { body: Buffer; sysFlag: number }): Packet => ({
      topic,
      body: compressed.body,
      sysFlag: compressed.sysFlag | transactionFlag,
      properties,
      bornTimestamp,
    });
    return encoded instanceof Promise ? encoded.then(finish) : finish(encoded);
  }

  /** The queue the caller chose, directly or by its key; `undefined` leaves the choice to the sender. */
  #chosenQueue(
    message: Message,
    target: SendTarget,
    { queue, selector }: SendOptions,
  ): MessageQueue | undefined | Promise<MessageQueue> {
    if (queue !== undefined) return this.#ownQueue(queue, message);
    if (selector === undefined && message.orderingKey === undefined) return undefined;
    const known = this.#topics.known(message.topic);
    if (known) return this.#selectQueue(known.shownQueues, message, selector);
    return this.#sender
      .topic(message.topic, target)
      .then((topic) => this.#selectQueue(topic.shownQueues, message, selector));
  }

  #selectQueue(
    queues: readonly MessageQueue[],
    message: Message,
    selector: SendOptions['selector'] = selectQueueByHash,
  ): MessageQueue {
    const selected = selector(queues, message, message.orderingKey ?? '');
    if (!queues.includes(selected)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `The queue selector for "${message.topic}" returned something that is not one of the ${queues.length} queues. Return an element of the array it is given.`,
      );
    }
    return this.#ownQueue(selected, message);
  }

  #ownQueue(queue: MessageQueue, message: Message): MessageQueue {
    const topic = this.#instance.namespace.wrap(message.topic);
    if (this.#instance.namespace.wrap(queue.topic) !== topic) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `The message is for topic "${message.topic}", the queue chosen is one of "${queue.topic}". Choose a queue of the message's topic.`,
      );
    }
    return queue.topic === topic ? queue : { ...queue, topic };
  }

  #target({ timeoutMs, signal }: SendOptions): SendTarget {
    // One signal may end any number of sends; Node warns of more than ten listeners.
    if (signal !== undefined) setMaxListeners(0, signal);
    return {
      deadline: this.#instance.clock.monotonic() + (timeoutMs ?? this.#options.sendTimeoutMs),
      maxAttempts: this.#options.maxAttempts,
      signal,
    };
  }

  #check(message: Message): void {
    this.#assertUsable();
    checkMessage(message, this.#options.maxMessageSize);
  }

  #messageId({ messageId }: Message): string {
    if (messageId === undefined) return this.#instance.uniqueKeys.next();
    checkMessageId(messageId);
    return messageId;
  }

  #properties(message: Message, messageId: string, transactionGroup?: string): string {
    return encodeMessageProperties(message, { messageId, transactionGroup, instanceId: this.#instanceId });
  }

  #assertUsable(): void {
    if (this.#state !== 'started') throw this.#notUsable();
  }

  #notUsable(): RocketMQError {
    return this.#state === 'created'
      ? new RocketMQError(
          'CLOSED',
          `The producer of group "${this.group}" is not started. Await start() first.`,
        )
      : new RocketMQError('CLOSED', `The producer of group "${this.group}" is closed. Create a new one.`);
  }
}
