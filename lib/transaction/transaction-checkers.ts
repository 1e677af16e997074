import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../client/clock.js';
import type { TransactionCheck, TransactionResolution } from '../client/producer.js';
import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';

/** Header of a half message that names who answers for it. */
export const TRANSACTION_CHECKER_HEADER = 'rmq-transaction-checker';

/** The name of the built-in checker, which looks into the transaction log. */
export const LOG_CHECKER = 'log';

/**
 * Routes the broker's questions to the checker the half message names. An application may have many; a producer
 * group has them all, so that any instance can be asked.
 */
export class TransactionCheckers {
  /** Checks run in no request's context, whoever opened the connection they arrive on. */
  private readonly scope = new AsyncResource('RocketMQTransactionCheckers');
  private readonly checkers = new Map<string, TransactionCheck>();

  constructor(
    private readonly group: string,
    private readonly events: RocketMQEvents,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  /**
   * @throws RocketMQError `INVALID_CONFIGURATION` when the name is taken
   */
  register(name: string, check: TransactionCheck): void {
    if (this.checkers.has(name)) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        `There are two transaction checkers named "${name}". Give each its own name.`,
      );
    }
    this.checkers.set(name, check);
  }

  has(name: string): boolean {
    return this.checkers.has(name);
  }

  /** The one check of the producer. Never rejects: an error is told and counts as "unknown". */
  readonly check: TransactionCheck = (message) => this.scope.runInAsyncScope(() => this.answer(message));

  private async answer(message: ReceivedMessage): Promise<TransactionResolution> {
    const startedAt = this.clock.monotonic();
    let resolution: TransactionResolution = 'unknown';
    let failure: { readonly error: unknown } | undefined;
    try {
      resolution = await this.checkerOf(message)(message);
    } catch (error) {
      failure = { error };
    }
    this.events.emit('transaction.checked', {
      group: this.group,
      topic: message.topic,
      messageId: message.messageId,
      resolution,
      durationMs: this.clock.monotonic() - startedAt,
      ...failure,
    });
    return resolution;
  }

  private checkerOf(message: ReceivedMessage): TransactionCheck {
    const name = message.headers[TRANSACTION_CHECKER_HEADER];
    const check = name === undefined ? undefined : this.checkers.get(name);
    if (check !== undefined) return check;
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      name === undefined
        ? `Half message ${message.messageId} (topic "${message.topic}") names no transaction checker in header "${TRANSACTION_CHECKER_HEADER}". Send it with sendInTransaction, or set the header.`
        : `No transaction checker is named "${name}", as half message ${message.messageId} (topic "${message.topic}") wants. Add @RocketMQTransactionChecker("${name}"), or keep it until its messages are gone.`,
    );
  }
}
