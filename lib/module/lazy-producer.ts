import type {
  HalfMessage,
  Producer,
  ProducerOptions,
  Reply,
  RequestResult,
  TransactionCheck,
} from '../client/producer.js';
import type { SendOptions, SendReceipt } from '../client/send.js';
import type { Message, ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';

/** Where the real producer comes from: a connection that may still have to open. */
export interface ProducerSource {
  readonly name: string;
  /** Opens the connection if need be. @throws RocketMQError `CONNECTION_FAILED` */
  createProducer(options: ProducerOptions): Promise<Producer>;
}

/**
 * The producer of a connection, usable from the first moment: it starts with the first send, and a start that
 * failed is tried again with the next one. Tells what was sent.
 */
export class LazyProducer implements Producer {
  readonly group: string;
  private real: Producer | undefined;
  private starting: Promise<Producer> | undefined;
  private check: TransactionCheck | undefined;
  private closed = false;

  constructor(
    private readonly source: ProducerSource,
    private readonly options: ProducerOptions,
    private readonly events: RocketMQEvents,
  ) {
    this.group = options.group;
  }

  async start(): Promise<void> {
    await this.producer();
  }

  async send(message: Message, options?: SendOptions): Promise<SendReceipt> {
    const startedAt = performance.now();
    try {
      const producer = this.real ?? (await this.producer());
      const receipt = await producer.send(message, options);
      this.sent(receipt, startedAt);
      return receipt;
    } catch (error) {
      throw this.failed(message.topic, 1, startedAt, error);
    }
  }

  async sendOneWay(
    message: Message,
    options?: Pick<SendOptions, 'queue' | 'selector' | 'signal'>,
  ): Promise<void> {
    const startedAt = performance.now();
    try {
      const producer = this.real ?? (await this.producer());
      await producer.sendOneWay(message, options);
    } catch (error) {
      throw this.failed(message.topic, 1, startedAt, error);
    }
  }

  async sendBatch(messages: readonly Message[], options?: SendOptions): Promise<readonly SendReceipt[]> {
    const startedAt = performance.now();
    try {
      const producer = this.real ?? (await this.producer());
      const receipts = await producer.sendBatch(messages, options);
      for (const receipt of receipts) this.sent(receipt, startedAt);
      return receipts;
    } catch (error) {
      throw this.failed(messages[0]?.topic ?? '', messages.length, startedAt, error);
    }
  }

  async sendHalf(message: Message, options?: SendOptions): Promise<HalfMessage> {
    const startedAt = performance.now();
    try {
      const producer = this.real ?? (await this.producer());
      const half = await producer.sendHalf(message, options);
      this.sent(half.receipt, startedAt);
      return half;
    } catch (error) {
      throw this.failed(message.topic, 1, startedAt, error);
    }
  }

  async request(message: Message, options?: SendOptions): Promise<RequestResult> {
    const startedAt = performance.now();
    try {
      const producer = this.real ?? (await this.producer());
      const result = await producer.request(message, options);
      this.sent(result.receipt, startedAt);
      return result;
    } catch (error) {
      throw this.failed(message.topic, 1, startedAt, error);
    }
  }

  async reply(
    request: ReceivedMessage,
    reply: Reply,
    options?: Pick<SendOptions, 'timeoutMs' | 'signal'>,
  ): Promise<void> {
    return (this.real ?? (await this.producer())).reply(request, reply, options);
  }

  setTransactionCheck(check: TransactionCheck): void {
    this.check = check;
    this.real?.setTransactionCheck(check);
  }

  async recall(topic: string, recallHandle: string): Promise<string> {
    return (this.real ?? (await this.producer())).recall(topic, recallHandle);
  }

  async close(timeoutMs?: number): Promise<void> {
    this.closed = true;
    const producer = this.real ?? (await this.starting?.catch(() => undefined));
    this.real = undefined;
    await producer?.close(timeoutMs);
  }

  private producer(): Promise<Producer> {
    if (this.closed) {
      return Promise.reject(
        new RocketMQError(
          'CLOSED',
          `The producer of connection "${this.source.name}" is closed: the application is stopping. Send before, or from a listener.`,
        ),
      );
    }
    if (this.real !== undefined) return Promise.resolve(this.real);
    this.starting ??= this.begin().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  private async begin(): Promise<Producer> {
    const producer = await this.source.createProducer(this.options);
    if (this.check !== undefined) producer.setTransactionCheck(this.check);
    try {
      await producer.start();
    } catch (error) {
      await producer.close(0).catch(() => undefined);
      throw error;
    }
    this.real = producer;
    return producer;
  }

  private sent({ topic, messageId }: SendReceipt, startedAt: number): void {
    if (!this.events.has('message.sent')) return;
    const durationMs = performance.now() - startedAt;
    this.events.emit('message.sent', { connection: this.source.name, topic, messageId, durationMs });
  }

  private failed(topic: string, count: number, startedAt: number, error: unknown): unknown {
    const durationMs = performance.now() - startedAt;
    const connection = this.source.name;
    this.events.emit('message.send-failed', { connection, topic, count, durationMs, error });
    return error;
  }
}
