import type { HalfMessage, Producer, Reply, RequestResult, TransactionCheck } from '../client/producer.js';
import type { SendOptions, SendReceipt } from '../client/send.js';
import type { Message, ReceivedMessage } from '../message/message.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';

/** A producer with the application's instrumentation around every send; without one it adds nothing. */
export class InstrumentedProducer implements Producer {
  constructor(
    private readonly connection: string,
    private readonly producer: Producer,
    private readonly events: Pick<RocketMQEvents, 'instrumentation'>,
  ) {}

  get group(): string {
    return this.producer.group;
  }

  start(): Promise<void> {
    return this.producer.start();
  }

  send(message: Message, options?: SendOptions): Promise<SendReceipt> {
    const { connection, producer } = this;
    const { instrumentation } = this.events;
    if (instrumentation === undefined) return producer.send(message, options);
    return instrumentation.send(
      { connection, kind: 'single', messages: [message] },
      async ([own = message]) => {
        const receipt = await producer.send(own, options);
        return { value: receipt, receipts: [receipt] };
      },
    );
  }

  sendOneWay(message: Message, options?: Pick<SendOptions, 'queue' | 'selector' | 'signal'>): Promise<void> {
    const { connection, producer } = this;
    const { instrumentation } = this.events;
    if (instrumentation === undefined) return producer.sendOneWay(message, options);
    return instrumentation.send(
      { connection, kind: 'one-way', messages: [message] },
      async ([own = message]) => ({ value: await producer.sendOneWay(own, options), receipts: [] }),
    );
  }

  sendBatch(messages: readonly Message[], options?: SendOptions): Promise<readonly SendReceipt[]> {
    const { connection, producer } = this;
    const { instrumentation } = this.events;
    if (instrumentation === undefined || messages.length === 0) return producer.sendBatch(messages, options);
    return instrumentation.send({ connection, kind: 'batch', messages }, async (own) => {
      const receipts = await producer.sendBatch(own, options);
      return { value: receipts, receipts };
    });
  }

  sendHalf(message: Message, options?: SendOptions): Promise<HalfMessage> {
    const { connection, producer } = this;
    const { instrumentation } = this.events;
    if (instrumentation === undefined) return producer.sendHalf(message, options);
    return instrumentation.send(
      { connection, kind: 'half', messages: [message] },
      async ([own = message]) => {
        const half = await producer.sendHalf(own, options);
        return { value: half, receipts: [half.receipt] };
      },
    );
  }

  request(message: Message, options?: SendOptions): Promise<RequestResult> {
    const { connection, producer } = this;
    const { instrumentation } = this.events;
    if (instrumentation === undefined) return producer.request(message, options);
    return instrumentation.send(
      { connection, kind: 'single', messages: [message] },
      async ([own = message]) => {
        const result = await producer.request(own, options);
        return { value: result, receipts: [result.receipt] };
      },
    );
  }

  reply(
    request: ReceivedMessage,
    reply: Reply,
    options?: Pick<SendOptions, 'timeoutMs' | 'signal'>,
  ): Promise<void> {
    return this.producer.reply(request, reply, options);
  }

  setTransactionCheck(check: TransactionCheck): void {
    this.producer.setTransactionCheck(check);
  }

  recall(topic: string, recallHandle: string): Promise<string> {
    return this.producer.recall(topic, recallHandle);
  }

  close(timeoutMs?: number): Promise<void> {
    return this.producer.close(timeoutMs);
  }
}
