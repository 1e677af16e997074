import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { RocketMQError } from '../message/rocketmq-error.js';
import { sqlDialect } from './sql-dialect.js';
import { isRefusal, sqlErrorKind } from './sql-error.js';
import { sqliteGate } from './sqlite-gate.js';
import { commitFailed, commitRolledBack, journalOf } from './transaction-journal.js';

/** What the database isolates a transaction from. */
export type IsolationLevel = Parameters<QueryRunner['startTransaction']>[0];

/** How a transaction is run. */
export interface OwnTransactionOptions {
  /** @default the database's, READ COMMITTED on MySQL and MariaDB */
  readonly isolation?: IsolationLevel | undefined;
  /**
   * Reads something the transaction wrote, and says whether it is still there. Asked before COMMIT, and only when a
   * statement had failed or a savepoint was rolled back: MySQL may have ended the transaction alone.
   */
  readonly stillThere?: ((queryRunner: QueryRunner) => Promise<boolean>) | undefined;
}

/** The connection was lost while COMMIT was under way: the transaction is committed or not, nobody here knows. */
export class CommitOutcomeUnknownError extends RocketMQError {
  constructor(cause: unknown) {
    super(
      'DATABASE_FAILED',
      'The connection was lost during COMMIT, so the outcome of the transaction is unknown. Ask the database before repeating it.',
      { cause, retryable: true },
    );
  }
}

/**
 * Runs work in a transaction of its own and resolves only when it is committed for sure. Different from
 * `dataSource.transaction` in what it does not let pass:
 *
 * - PostgreSQL answers COMMIT with a rollback, without an error, when a statement had failed and the work went on;
 *   MySQL rolls back alone on a dead-lock. Both are failures here.
 * - A subscriber that throws after COMMIT does not make the transaction look failed.
 * - A connection lost during COMMIT is told apart from a rollback: {@link CommitOutcomeUnknownError}.
 * - SQLite has one connection for everybody: transactions take turns.
 *
 * `work` failing rolls back and rejects with its error.
 */
export function runInTransaction<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
  options: OwnTransactionOptions = {},
): Promise<T> {
  const dialect = sqlDialect(dataSource);
  if (dialect === 'sqlite') {
    return sqliteGate(dataSource).run((queryRunner) => transact(queryRunner, work, options));
  }
  const isolation = options.isolation ?? (dialect === 'mysql' ? 'READ COMMITTED' : undefined);
  return withOwnRunner(dataSource, work, { ...options, isolation });
}

async function withOwnRunner<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
  options: OwnTransactionOptions,
): Promise<T> {
  const queryRunner = dataSource.createQueryRunner('master');
  try {
    return await transact(queryRunner, work, options);
  } finally {
    await queryRunner.release().catch(() => undefined);
  }
}

async function transact<T>(
  queryRunner: QueryRunner,
  work: (manager: EntityManager) => Promise<T>,
  { isolation, stillThere }: OwnTransactionOptions,
): Promise<T> {
  await queryRunner.startTransaction(isolation);
  let result: T;
  try {
    const journal = journalOf(queryRunner);
    result = await work(queryRunner.manager);
    if (!journal.trusted && stillThere !== undefined) {
      const there = await stillThere(queryRunner).catch((cause: unknown) => {
        throw swallowed(cause); // PostgreSQL refuses every statement then
      });
      if (!there) throw swallowed();
    }
  } catch (error) {
    await queryRunner.rollbackTransaction().catch(() => undefined);
    throw error;
  }
  try {
    await queryRunner.commitTransaction();
  } catch (error) {
    if (!queryRunner.isTransactionActive) return result; // committed; a subscriber failed afterwards
    await queryRunner.rollbackTransaction().catch(() => undefined);
    const unknown = sqlErrorKind(error) === 'connection' || (commitFailed(queryRunner) && !isRefusal(error));
    throw unknown ? new CommitOutcomeUnknownError(error) : error;
  }
  if (commitRolledBack(queryRunner)) throw swallowed();
  return result;
}

function swallowed(cause?: unknown): RocketMQError {
  return new RocketMQError(
    'DATABASE_FAILED',
    'The database rolled the transaction back because one of its statements had failed and the error was swallowed. Let the error pass, or run that statement in a nested transaction (savepoint).',
    { retryable: true, cause },
  );
}
