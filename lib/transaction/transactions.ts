import type { DataSource } from 'typeorm';
import { LeaseJob } from '../database/lease-job.js';
import { checkSchemaVersion } from '../database/schema-version.js';
import type { TransactionCheck } from '../client/producer.js';
import type { TransactionCheckers } from './transaction-checkers.js';
import type { ResolvedTransactionOptions } from './transaction-options.js';
import type { TransactionRunner } from './transaction-runner.js';

/** Version of the transaction log this release was written for. */
const TRANSACTION_LOG_SCHEMA = 1;

/** Everything transactional messages consist of, wired. */
export class Transactions {
  /** The check of the producer. */
  readonly checkMessage: TransactionCheck;

  constructor(
    private readonly dataSource: DataSource,
    readonly runner: TransactionRunner,
    readonly checkers: TransactionCheckers,
    private readonly sweeper: LeaseJob,
    private readonly options: ResolvedTransactionOptions,
  ) {
    this.checkMessage = checkers.check;
  }

  /**
   * At boot.
   * @throws RocketMQError `SCHEMA_MISMATCH`, `DATABASE_FAILED`
   */
  check(): Promise<void> {
    return checkSchemaVersion(this.dataSource, this.options.tablePrefix, {
      feature: 'transaction-log',
      version: TRANSACTION_LOG_SCHEMA,
    });
  }

  /** Begins to remove outcomes nobody can ask for any more. */
  start(): void {
    this.sweeper.start();
  }

  stop(): Promise<void> {
    return this.sweeper.stop();
  }
}
