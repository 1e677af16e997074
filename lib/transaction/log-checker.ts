import type { Clock } from '../client/clock.js';
import type { TransactionResolution } from '../client/producer.js';
import { isMessageId, toKey128 } from '../database/message-id.js';
import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { TRANSACTION_LOG_HEADER, type LogIdentity } from './log-identity.js';
import type { ResolvedTransactionOptions } from './transaction-options.js';
import type { TransactionLog } from './transaction-log.js';

/**
 * Answers the broker's question from the transaction log. Any instance may be asked.
 *
 * A table that is only read cannot tell "still running" from "rolled back". So where nothing is found, a rollback is
 * written before it is answered: a local transaction that comes later fails on the unique key, instead of committing
 * what consumers will never hear of. (The idea: QueryPrepared of dtm.)
 */
export class LogChecker {
  constructor(
    private readonly log: TransactionLog,
    private readonly identity: LogIdentity,
    private readonly options: Pick<ResolvedTransactionOptions, 'graceMs' | 'checkWaitMs' | 'retentionMs'>,
    private readonly clock: Clock,
  ) {}

  /** An error counts as "unknown"; the broker asks again. */
  async check(message: ReceivedMessage): Promise<TransactionResolution> {
    if (!isMessageId(message.messageId)) return 'unknown';
    await this.assertOwn(message);
    const id = toKey128(message.messageId);
    const age = this.clock.now() - message.bornTimestamp;
    const { graceMs, checkWaitMs, retentionMs } = this.options;
    // Too young: its transaction may be about to begin. Too old: its outcome may be forgotten already.
    const decisive = age >= graceMs && age < retentionMs;
    const answer = decisive ? await this.log.decide(id, checkWaitMs) : await this.log.look(id);
    switch (answer) {
      case 'committed':
        return 'commit';
      case 'rolled-back':
      case 'outboxed':
        return 'rollback';
      default:
        return 'unknown';
    }
  }

  /** Half messages that were there before an upgrade may name none. */
  private async assertOwn({ topic, messageId, headers }: ReceivedMessage): Promise<void> {
    const named = headers[TRANSACTION_LOG_HEADER];
    if (named === undefined || named === (await this.identity())) return;
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `Half message ${messageId} (topic "${topic}") belongs to the transaction log of another database: an application with another database has the same producer group. Give each application its own producer.group; until then its messages are decided late.`,
    );
  }
}
