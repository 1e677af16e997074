import type { HalfMessage, Producer, TransactionCheck } from '../../lib/client/producer.js';
import type { SendReceipt } from '../../lib/client/send.js';
import type { Message } from '../../lib/message/message.js';
import { RocketMQError } from '../../lib/message/rocketmq-error.js';

/** One call of `send` or `sendBatch`, as the script sees it. */
export interface ScriptedCall {
  readonly messages: readonly Message[];
  readonly batch: boolean;
  /** Number of the call, from 1. */
  readonly number: number;
}

/**
 * What happens to a call: stored and acknowledged (undefined), refused with an error, or stored while the
 * acknowledgement is lost.
 */
export type ScriptedAnswer = undefined | { readonly fail: unknown } | { readonly lose: unknown };

export type Script = (call: ScriptedCall) => ScriptedAnswer | Promise<ScriptedAnswer>;

/** A broker's word for "not there". */
export const AWAY = new RocketMQError('CONNECTION_FAILED', 'The broker is away. Start it.', {
  retryable: true,
});
export const UNKNOWN_TOPIC = new RocketMQError('TOPIC_NOT_FOUND', 'No such topic. Create it.');

/** A producer at the port that does what a script says, and remembers what "the broker" stored, in order. */
export class ScriptedProducer implements Producer {
  readonly group = 'scripted';
  /** Every message stored, duplicates included. */
  readonly stored: Message[] = [];
  readonly calls: ScriptedCall[] = [];
  readonly halves: { message: Message; state: 'half' | 'committed' | 'rolled back' }[] = [];
  /** Calls under way, and the most there ever were. */
  inFlight = 0;
  mostInFlight = 0;
  check: TransactionCheck | undefined;
  private script: Script;

  constructor(script: Script = () => undefined) {
    this.script = script;
  }

  /** From now on. */
  behave(script: Script): void {
    this.script = script;
  }

  /** Bodies stored, as text. */
  get bodies(): string[] {
    return this.stored.map(({ body }) => body.toString());
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async send(message: Message): Promise<SendReceipt> {
    const [receipt] = await this.call([message], false);
    return receipt as SendReceipt;
  }

  sendOneWay(message: Message): Promise<void> {
    return this.call([message], false).then(() => undefined);
  }

  sendBatch(messages: readonly Message[]): Promise<readonly SendReceipt[]> {
    return this.call(messages, true);
  }

  async sendHalf(message: Message): Promise<HalfMessage> {
    const half = { message, state: 'half' as 'half' | 'committed' | 'rolled back' };
    const answer = await this.answer([message], false);
    if (answer !== undefined && 'fail' in answer) throw answer.fail;
    this.halves.push(half);
    if (answer !== undefined) throw answer.lose;
    return {
      receipt: this.receipt(message),
      commit: () => {
        half.state = 'committed';
        return Promise.resolve();
      },
      rollback: () => {
        half.state = 'rolled back';
        return Promise.resolve();
      },
    };
  }

  setTransactionCheck(check: TransactionCheck): void {
    this.check = check;
  }

  request(): Promise<never> {
    return Promise.reject(new Error('not scripted'));
  }

  reply(): Promise<void> {
    return Promise.reject(new Error('not scripted'));
  }

  recall(): Promise<string> {
    return Promise.reject(new Error('not scripted'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async call(messages: readonly Message[], batch: boolean): Promise<readonly SendReceipt[]> {
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      const answer = await this.answer(messages, batch);
      if (answer !== undefined && 'fail' in answer) throw answer.fail;
      this.stored.push(...messages);
      if (answer !== undefined) throw answer.lose;
      return messages.map((message) => this.receipt(message));
    } finally {
      this.inFlight -= 1;
    }
  }

  private async answer(messages: readonly Message[], batch: boolean): Promise<ScriptedAnswer> {
    const call = { messages, batch, number: this.calls.length + 1 };
    this.calls.push(call);
    // A broker never answers within the call.
    await new Promise((resolve) => setImmediate(resolve));
    return this.script(call);
  }

  private receipt(message: Message): SendReceipt {
    return {
      messageId: message.messageId ?? '',
      topic: message.topic,
      brokerName: 'scripted',
      queueId: 0,
      queueOffset: this.stored.length,
      status: 'SEND_OK',
      offsetMessageId: '',
    };
  }
}
