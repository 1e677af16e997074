import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';

/**
 * Called once, synchronously, after the outermost transaction was committed. `trusted` is false when something
 * happened in between that may have undone statements although the transaction was committed (a savepoint was
 * rolled back, a statement failed): what was written has to be read again then.
 */
export type AfterCommit = (trusted: boolean) => void;

/** What this library remembers about a transaction under way. */
export interface TransactionJournal {
  readonly afterCommit: AfterCommit[];
  trusted: boolean;
}

const JOURNAL = Symbol('nestjs-rocketmq.transaction-journal');
const ROLLED_BACK = Symbol('nestjs-rocketmq.rolled-back');
const COMMIT_FAILED = Symbol('nestjs-rocketmq.commit-failed');

/** One bag per query runner; TypeORM leaves it to its users. */
type RunnerData = Record<symbol, unknown>;

/**
 * The journal of the transaction that runs on the query runner; begins one when there is none.
 *
 * TypeORM tells subscribers about commits, also of savepoints, and awaits what they return: an error there makes
 * a transaction that is committed look failed. So callbacks run guarded and nothing is returned.
 */
export function journalOf(queryRunner: QueryRunner): TransactionJournal {
  watch(queryRunner.manager.dataSource);
  const data = queryRunner.data as RunnerData;
  let journal = data[JOURNAL] as TransactionJournal | undefined;
  if (journal === undefined) {
    journal = { afterCommit: [], trusted: true };
    data[JOURNAL] = journal;
    data[COMMIT_FAILED] = false;
  }
  return journal;
}

/**
 * Whether the last COMMIT on this query runner was answered with a rollback. PostgreSQL does so, without an
 * error, when a statement had failed and the error was swallowed.
 */
export function commitRolledBack(queryRunner: QueryRunner): boolean {
  return (queryRunner.data as RunnerData)[ROLLED_BACK] === true;
}

/** Whether COMMIT was sent last, and failed: false when a subscriber failed before it. */
export function commitFailed(queryRunner: QueryRunner): boolean {
  return (queryRunner.data as RunnerData)[COMMIT_FAILED] === true;
}

/** Watches the DataSource's transactions. `initialize()` replaces the list of subscribers, so this is repeated. */
export function watch(dataSource: DataSource): void {
  if (!dataSource.subscribers.includes(journalKeeper)) dataSource.subscribers.push(journalKeeper);
}

const journalKeeper: EntitySubscriberInterface = {
  afterQuery({ queryRunner, query, success, rawResults }) {
    const data = queryRunner.data as RunnerData;
    const journal = data[JOURNAL] as TransactionJournal | undefined;
    if (journal === undefined) return;
    if (!success || ROLLBACK.test(query)) journal.trusted = false;
    if (query === 'COMMIT') {
      data[COMMIT_FAILED] = !success;
      data[ROLLED_BACK] = (rawResults as { command?: unknown } | undefined)?.command === 'ROLLBACK';
    }
  },
  afterTransactionCommit({ queryRunner }) {
    if (queryRunner.isTransactionActive) return; // a savepoint was released
    const journal = take(queryRunner);
    if (journal === undefined || commitRolledBack(queryRunner)) return;
    for (const callback of journal.afterCommit) {
      try {
        callback(journal.trusted);
      } catch {
        // The transaction is committed; whoever registered has to report its own failures.
      }
    }
  },
  afterTransactionRollback({ queryRunner }) {
    if (!queryRunner.isTransactionActive) take(queryRunner);
  },
};

const ROLLBACK = /\brollback\b/i;

function take(queryRunner: QueryRunner): TransactionJournal | undefined {
  const data = queryRunner.data as RunnerData;
  const journal = data[JOURNAL] as TransactionJournal | undefined;
  delete data[JOURNAL];
  return journal;
}
