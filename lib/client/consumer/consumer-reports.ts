import { RocketMQError } from '../../message/rocketmq-error.js';
import type { ConsumerEvent } from '../push-consumer.js';
import type { ClientLog } from '../rocketmq-client.js';

/** Failures in a row after which a lasting failure is reported again. */
const REPEAT_EVERY = 30;

/** Tells listeners and the log what a consumer does and notices. A listener that throws harms nobody else. */
export class ConsumerReports {
  readonly #group: string;
  readonly #log: ClientLog;
  readonly #listeners = new Set<(event: ConsumerEvent) => void>();
  /** Failures in a row, by what failed. */
  readonly #failures = new Map<string, number>();

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

  /** @param context what was tried, as a noun: `pulling orders@broker-a:0` */
  error(context: string, cause: unknown): void {
    const error = asError(cause);
    this.#log('warn', `Group "${this.#group}", ${context}: ${error.message}`, error);
    this.emit({ type: 'error', error, context });
  }

  /** The same for what is tried over and over: reported when it begins to fail, and now and then while it lasts. */
  failing(context: string, cause: unknown): void {
    const times = (this.#failures.get(context) ?? 0) + 1;
    this.#failures.set(context, times);
    if (times % REPEAT_EVERY === 1) this.error(context, cause);
  }

  /** It works (again). */
  working(context: string): void {
    if (this.#failures.size > 0) this.#failures.delete(context);
  }

  warn(message: string): void {
    this.#log('warn', `Group "${this.#group}": ${message}`);
  }

  info(message: string): void {
    this.#log('info', `Group "${this.#group}": ${message}`);
  }

  debug(message: string, error?: unknown): void {
    this.#log('debug', `Group "${this.#group}": ${message}`, error);
  }
}

function asError(cause: unknown): Error {
  if (cause instanceof Error) return cause;
  return new RocketMQError(
    'INVALID_ARGUMENT',
    `Something that is no Error was thrown: ${String(cause)}. Throw an Error.`,
    {
      cause,
    },
  );
}
