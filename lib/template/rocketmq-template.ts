import type { EntityManager } from 'typeorm';
import type { DeliveryTime, Message, MessageHeaders } from '../message/message.js';
import { type Destination, parseDestination } from '../message/destination.js';
import type { MessageSerializer } from '../message/message-serializer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { Producer } from '../client/producer.js';
import type { SendOptions as ProducerSendOptions, SendReceipt } from '../client/send.js';
import { type Duration, toMilliseconds } from '../message/duration.js';
import type {
  TransactionResult,
  TransactionRunner,
  TransactionSendOptions,
} from '../transaction/transaction-runner.js';

/** What every call may say. */
export interface TemplateSendOptions extends ProducerSendOptions {
  /** Business keys; brokers index them for queries. */
  readonly keys?: string | readonly string[] | undefined;
  readonly headers?: MessageHeaders | undefined;
  /** Overrides the tag of the destination. */
  readonly tag?: string | undefined;
  /** Messages of one key go to one queue in the order they are sent; see `sendOrdered`. */
  readonly orderingKey?: string | undefined;
  /** @default the connection's */
  readonly serializer?: MessageSerializer | undefined;
  /** See `Message.waitStoreOk`. @default true */
  readonly waitStoreOk?: boolean | undefined;
  /** The identity to send under, for a resend. @default a new one */
  readonly messageId?: string | undefined;
}

/** What a request may say. */
export interface RequestOptions extends Omit<TemplateSendOptions, 'timeoutMs'> {
  /** For the message and its reply together. @default the producer's `sendTimeoutMs`, 3 s */
  readonly timeout?: Duration | undefined;
}

/** A payload of a batch with what is its own. */
export interface BatchEntry<T = unknown> {
  readonly payload: T;
  readonly keys?: string | readonly string[] | undefined;
  readonly headers?: MessageHeaders | undefined;
  readonly tag?: string | undefined;
}

/** A delay: a duration (timer message, brokers from 5.0), or one of the broker's delay levels 1 to 18. */
export type Delay = Duration | { readonly level: number };

/**
 * Sends messages. A destination is `"topic"`, `"topic:tag"` or `{ topic, tag }`. The connection opens with the
 * first send or with the application, whatever comes first.
 *
 * Every method rejects with a `RocketMQError` (`code`, `retryable`), never with anything else of the wire.
 */
export class RocketMQTemplate {
  /** @internal made by the module */
  constructor(
    /** For what the template does not offer. */
    readonly producer: Producer,
    private readonly serializer: MessageSerializer,
    private readonly transactions: Pick<TransactionRunner, 'sendInTransaction'> | undefined,
  ) {}

  /** Resolves when a broker has stored the message. */
  async send(
    destination: string | Destination,
    payload: unknown,
    options: TemplateSendOptions = {},
  ): Promise<SendReceipt> {
    return this.producer.send(this.message(destination, payload, options), options);
  }

  /**
   * Messages of one ordering key go to one queue. Await each send of a key before the next: brokers work on several
   * requests of a connection at once, so sends under way together may be stored in either order.
   */
  async sendOrdered(
    destination: string | Destination,
    payload: unknown,
    orderingKey: string,
    options: TemplateSendOptions = {},
  ): Promise<SendReceipt> {
    return this.producer.send(this.message(destination, payload, { ...options, orderingKey }), options);
  }

  /** Becomes visible to consumers after the delay: `30_000`, `'30s'`, `{ level: 4 }`. */
  async sendDelayed(
    destination: string | Destination,
    payload: unknown,
    delay: Delay,
    options: TemplateSendOptions = {},
  ): Promise<SendReceipt> {
    const delivery = typeof delay === 'object' ? delay : { afterMs: toMilliseconds(delay) };
    return this.producer.send(this.message(destination, payload, options, delivery), options);
  }

  /** Becomes visible to consumers at the time given; at once when it has passed. */
  async sendAt(
    destination: string | Destination,
    payload: unknown,
    at: Date,
    options: TemplateSendOptions = {},
  ): Promise<SendReceipt> {
    const delivery = { at: at.getTime() };
    return this.producer.send(this.message(destination, payload, options, delivery), options);
  }

  /**
   * Withdraws a delayed message that is not yet due. Resolves with its message id.
   * @throws RocketMQError `UNSUPPORTED` when the receipt has no recall handle
   */
  async recall(receipt: SendReceipt): Promise<string> {
    if (receipt.recallHandle === undefined) {
      throw new RocketMQError(
        'UNSUPPORTED',
        `Message ${receipt.messageId} cannot be recalled: its receipt has no recall handle. Send it with sendDelayed or sendAt to a broker that allows recall (5.4 and later, recallMessageEnable=true).`,
      );
    }
    return this.producer.recall(receipt.topic, receipt.recallHandle);
  }

  /** All to one topic, in as few requests as possible; receipts in the order given. */
  async sendBatch(
    destination: string | Destination,
    payloads: readonly unknown[],
    options: TemplateSendOptions = {},
  ): Promise<readonly SendReceipt[]> {
    if (payloads.length === 0) return [];
    return this.producer.sendBatch(
      payloads.map((payload) => this.message(destination, payload, options)),
      options,
    );
  }

  /** Like {@link sendBatch}, with keys, headers and tag of each message. */
  async sendEntries(
    destination: string | Destination,
    entries: readonly BatchEntry[],
    options: TemplateSendOptions = {},
  ): Promise<readonly SendReceipt[]> {
    if (entries.length === 0) return [];
    return this.producer.sendBatch(
      entries.map(({ payload, ...own }) => this.message(destination, payload, { ...options, ...own })),
      options,
    );
  }

  /**
   * Sends a message and waits for what the handler of a `@RocketMQReplyListener` returns, of whichever instance gets
   * it. Use it where an answer is worth waiting for; a listener of its own is the sturdier way to hear of a result.
   *
   * @throws RocketMQError `TIMEOUT` when no reply came in time: nobody listens, the handler failed or takes longer
   */
  async request<T = unknown>(
    destination: string | Destination,
    payload: unknown,
    { timeout, ...options }: RequestOptions = {},
  ): Promise<T> {
    const timeoutMs = timeout === undefined ? undefined : toMilliseconds(timeout);
    const { reply } = await this.producer.request(this.message(destination, payload, options), {
      ...options,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    return (options.serializer ?? this.serializer).deserialize(reply.body, reply) as T;
  }

  /** Resolves when the bytes were handed to the socket; loss after that goes unnoticed. */
  async sendOneWay(
    destination: string | Destination,
    payload: unknown,
    options: Omit<TemplateSendOptions, 'timeoutMs'> = {},
  ): Promise<void> {
    return this.producer.sendOneWay(this.message(destination, payload, options), options);
  }

  /**
   * Runs `work` in a database transaction and makes the message visible to consumers if, and only if, that
   * transaction commits. Needs `transactions` in the module options.
   *
   * @throws RocketMQError `INVALID_CONFIGURATION` when transactions are off; whatever `work` throws
   */
  async sendInTransaction<T>(
    destination: string | Destination,
    payload: unknown,
    work: (tx: EntityManager) => Promise<T>,
    options?: TransactionSendOptions,
  ): Promise<TransactionResult<T>> {
    if (this.transactions === undefined) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        'sendInTransaction needs a transaction log. Set `transactions: true` in RocketMQModule.forRoot, run the migrations, and use the template of the default connection.',
      );
    }
    return this.transactions.sendInTransaction(destination, payload, work, options);
  }

  private message(
    destination: string | Destination,
    payload: unknown,
    options: TemplateSendOptions,
    delivery?: DeliveryTime,
  ): Message {
    const { topic, tag } = parseDestination(destination);
    const { keys } = options;
    return {
      topic,
      tag: options.tag ?? tag,
      body: (options.serializer ?? this.serializer).serialize(payload),
      keys: typeof keys === 'string' ? [keys] : keys,
      orderingKey: options.orderingKey,
      headers: options.headers,
      delivery,
      waitStoreOk: options.waitStoreOk,
      messageId: options.messageId,
    };
  }
}
