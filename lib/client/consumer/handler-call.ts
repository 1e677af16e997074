import type { DeliveryContext } from '../push-consumer.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';

/** One call of the handler: what it was given, and how it learns that nobody waits for it any more. */
export class HandlerCall implements DeliveryContext {
  readonly group: string;
  readonly processQueue: ProcessQueue;
  readonly held: readonly HeldMessage[];
  /** On the monotonic clock. */
  readonly startedAt: number;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(group: string, processQueue: ProcessQueue, held: readonly HeldMessage[], startedAt: number) {
    this.group = group;
    this.processQueue = processQueue;
    this.held = held;
    this.startedAt = startedAt;
  }

  /** Made on first use: most handlers never look, and an AbortController per message is not free. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The result no longer matters. */
  get givenUp(): boolean {
    return this.#reason !== undefined;
  }

  giveUp(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
