import type { Clock } from '../clock.js';
import type { ConsumeResult, MessageHandler } from '../push-consumer.js';
import { RETRY } from '../push-consumer.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { HandlerCall } from './handler-call.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';

/** How a call ended: with the handler's answer, with its error, or because nobody waited any longer. */
export type CallOutcome =
  | { readonly type: 'answered'; readonly answer: ConsumeResult | readonly ConsumeResult[] }
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'given-up'; readonly reason: Error };

/** Calls the user's handler and sees to it that each call ends exactly once, whatever the handler does. */
export class HandlerCalls {
  readonly #group: string;
  readonly #handler: MessageHandler;
  readonly #clock: Clock;
  readonly #ended: (call: HandlerCall, outcome: CallOutcome) => void;
  readonly #outlived: () => void;
  /** In the order they began. */
  readonly #running = new Set<HandlerCall>();

  /**
   * @param ended called once per call; must not throw
   * @param outlived a handler has come to its end whose call was given up before; must not throw
   */
  constructor(
    group: string,
    handler: MessageHandler,
    clock: Clock,
    ended: (call: HandlerCall, outcome: CallOutcome) => void,
    outlived: () => void = () => undefined,
  ) {
    this.#group = group;
    this.#handler = handler;
    this.#clock = clock;
    this.#ended = ended;
    this.#outlived = outlived;
  }

  /** Calls under way. */
  get size(): number {
    return this.#running.size;
  }

  /** Oldest first. */
  [Symbol.iterator](): IterableIterator<HandlerCall> {
    return this.#running.values();
  }

  begin(processQueue: ProcessQueue, held: readonly HeldMessage[]): HandlerCall {
    const call = new HandlerCall(this.#group, processQueue, held, this.#clock.monotonic());
    processQueue.lastConsumeTimestamp = this.#clock.now();
    this.#running.add(call);
    void this.#run(call);
    return call;
  }

  /** Ends a call whose result no longer matters. What the handler still answers is ignored. */
  giveUp(call: HandlerCall, reason: Error): void {
    if (!this.#running.has(call)) return;
    call.giveUp(reason);
    this.#end(call, { type: 'given-up', reason });
  }

  /**
   * Tells the handlers of the queue that their results no longer matter. Until they end they count as under way: there
   * are never more handlers than there may be, and the end of the consumer waits for them.
   */
  abortQueue(processQueue: ProcessQueue, reason: Error): void {
    for (const call of this.#running) {
      if (call.processQueue === processQueue) call.giveUp(reason);
    }
  }

  giveUpQueue(processQueue: ProcessQueue, reason: Error): void {
    for (const call of this.#running) {
      if (call.processQueue === processQueue) this.giveUp(call, reason);
    }
  }

  /**
   * The consumer closes.
   * @returns how many messages the calls had
   */
  giveUpAll(): number {
    const reason = new RocketMQError(
      'CLOSED',
      'The consumer closes and waits no longer for this handler; its messages are delivered again. Stop working on them.',
    );
    let messages = 0;
    for (const call of this.#running) {
      messages += call.held.length;
      this.giveUp(call, reason);
    }
    return messages;
  }

  async #run(call: HandlerCall): Promise<void> {
    let outcome: CallOutcome;
    try {
      const messages = call.held.map(({ message }) => message);
      outcome = { type: 'answered', answer: await this.#handler(messages, call) };
    } catch (error) {
      outcome = { type: 'failed', error };
    }
    if (!this.#end(call, outcome)) this.#outlived();
  }

  #end(call: HandlerCall, outcome: CallOutcome): boolean {
    if (!this.#running.delete(call)) return false;
    this.#ended(call, outcome);
    return true;
  }
}

/**
 * One result for each message of the call. A single answer is meant for all; what is missing or no result counts
 * as retry.
 *
 * @param complain hears of an answer that is none
 */
export function resultsOf(
  outcome: Exclude<CallOutcome, { type: 'given-up' }>,
  count: number,
  complain: (error: Error) => void,
): ConsumeResult[] {
  if (outcome.type === 'failed') return Array.from<ConsumeResult>({ length: count }).fill(RETRY);
  const { answer } = outcome;
  if (count === 1 && isResult(answer)) return [answer];
  const answers: readonly unknown[] = Array.isArray(answer)
    ? answer
    : Array.from({ length: count }).fill(answer);
  let wrong = answers.length !== count;
  const results = Array.from({ length: count }, (_, index): ConsumeResult => {
    const result = answers[index];
    if (isResult(result)) return result;
    wrong = true;
    return RETRY;
  });
  if (wrong) {
    complain(
      new RocketMQError(
        'INVALID_ARGUMENT',
        `The handler was given ${count} messages and did not answer with that many results; those without one are retried. Return ACK, RETRY, or an array with one result per message.`,
      ),
    );
  }
  return results;
}

function isResult(value: unknown): value is ConsumeResult {
  if (typeof value !== 'object' || value === null || !('action' in value)) return false;
  return value.action === 'ack' || value.action === 'retry' || value.action === 'dead-letter';
}
