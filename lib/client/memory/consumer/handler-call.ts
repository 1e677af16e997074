import { RocketMQError } from '../../../message/rocketmq-error.js';
import { RETRY, type ConsumeResult, type DeliveryContext, type MessageHandler } from '../../push-consumer.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';

/** One call of the handler. It ends once: with results, or because nobody waits for them any more. */
export class HandlerCall implements DeliveryContext {
  readonly group: string;
  readonly processQueue: ProcessQueue;
  readonly held: readonly HeldMessage[];
  #controller: AbortController | undefined;
  #givenUp: Error | undefined;

  constructor(group: string, processQueue: ProcessQueue, held: readonly HeldMessage[]) {
    this.group = group;
    this.processQueue = processQueue;
    this.held = held;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#givenUp) this.#controller.abort(this.#givenUp);
    }
    return this.#controller.signal;
  }

  get givenUp(): boolean {
    return this.#givenUp !== undefined;
  }

  giveUp(reason: Error): void {
    if (this.#givenUp) return;
    this.#givenUp = reason;
    this.#controller?.abort(reason);
  }

  /**
   * Runs the handler. Never rejects.
   *
   * @returns one result per message
   */
  async run(handler: MessageHandler, onError: (error: unknown) => void): Promise<readonly ConsumeResult[]> {
    const messages = this.held.map(({ message }) => message);
    try {
      return this.#resultsOf(await handler(messages, this), onError);
    } catch (error) {
      if (!this.givenUp) onError(error);
      return messages.map(() => RETRY);
    }
  }

  #resultsOf(answer: unknown, onError: (error: unknown) => void): readonly ConsumeResult[] {
    const count = this.held.length;
    const answers: readonly unknown[] = Array.isArray(answer) ? answer : this.held.map(() => answer);
    if (answers.length !== count || !answers.every(isResult)) {
      onError(
        new RocketMQError(
          'INVALID_ARGUMENT',
          `The handler was given ${count} messages and did not answer with that many results; those without one are retried. Return ACK, RETRY, or an array with one result per message.`,
        ),
      );
    }
    return this.held.map((_, index) => {
      const result = answers[index];
      return isResult(result) ? result : RETRY;
    });
  }
}

function isResult(value: unknown): value is ConsumeResult {
  if (typeof value !== 'object' || value === null || !('action' in value)) return false;
  return value.action === 'ack' || value.action === 'retry' || value.action === 'dead-letter';
}
