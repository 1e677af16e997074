import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ConsumerEvent } from '../../push-consumer.js';
import type { ClientLog } from '../../rocketmq-client.js';

/** Tells listeners and the log what a consumer does and notices. A listener that throws harms nobody else. */
export class ConsumerReports {
  readonly #group: string;
  readonly #log: ClientLog;
  readonly #listeners = new Set<(event: ConsumerEvent) => void>();
  /** What fails at the moment: a lasting failure is reported when it begins. */
  readonly #failing = new Set<string>();

  constructor(group: string, log: ClientLog) {
    this.#group = group;
    this.#log = log;
  }

  onEvent(listener: (event: ConsumerEvent) => void): void {
    this.#listeners.add(listener);
  }

  emit(event: ConsumerEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#log(
          'error',
          `A listener for events of group "${this.#group}" failed. Fix the listener.`,
          error,
        );
      }
    }
  }

  /** @param context what was tried, as a noun: `pulling orders@memory:0` */
  error(context: string, cause: unknown): void {
    const error =
      cause instanceof Error
        ? cause
        : new RocketMQError(
            'INVALID_ARGUMENT',
            `Something that is no Error was thrown: ${String(cause)}. Throw an Error.`,
            { cause },
          );
    this.#log('warn', `Group "${this.#group}", ${context}: ${error.message}`, error);
    this.emit({ type: 'error', error, context });
  }

  /** The same for what is tried over and over. */
  failing(context: string, cause: unknown): void {
    if (this.#failing.has(context)) return;
    this.#failing.add(context);
    this.error(context, cause);
  }

  /** It works (again). */
  working(context: string): void {
    this.#failing.delete(context);
  }
}
