import type { DataSource, QueryRunner } from 'typeorm';

/** The part of a better-sqlite3 (or libsql) database that is used here; everything is synchronous. */
export interface NativeSqlite {
  readonly inTransaction: boolean;
  prepare(sql: string): {
    all(...parameters: unknown[]): unknown[];
    run(...parameters: unknown[]): { changes: number; lastInsertRowid: number | bigint };
  };
  exec(sql: string): unknown;
}

/**
 * Turns on the one connection a SQLite DataSource has. TypeORM shares one query runner among all callers: two
 * transactions at the same time become one with a savepoint, and a statement from outside runs inside whatever
 * transaction is open. Everything this library does on SQLite takes its turn here; an application's own
 * transactions should too (`runInTransaction`), and are waited for when they do not.
 */
export class SqliteGate {
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly dataSource: DataSource) {}

  /** Runs work that may await, while nobody else here uses the connection. */
  run<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
    const turn = this.tail.then(async () => {
      await this.idle();
      return work(this.dataSource.createQueryRunner());
    });
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  /** Runs statements in one synchronous step between transactions, so that nothing can come in between. */
  runNative<T>(work: (database: NativeSqlite) => T): Promise<T> {
    const turn = this.tail.then(async () => {
      await this.idle();
      const native = this.native();
      native.exec('BEGIN IMMEDIATE');
      try {
        const result = work(native);
        native.exec('COMMIT');
        return result;
      } catch (error) {
        if (native.inTransaction) native.exec('ROLLBACK');
        throw error;
      }
    });
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  private native(): NativeSqlite {
    return (this.dataSource.driver as unknown as { databaseConnection: NativeSqlite }).databaseConnection;
  }

  /** No clock of the library here: the wait is for other code on this event loop, not for time. */
  private async idle(): Promise<void> {
    while (this.dataSource.createQueryRunner().isTransactionActive || this.native().inTransaction) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

const gates = new WeakMap<DataSource, SqliteGate>();

export function sqliteGate(dataSource: DataSource): SqliteGate {
  let gate = gates.get(dataSource);
  if (gate === undefined) {
    gate = new SqliteGate(dataSource);
    gates.set(dataSource, gate);
  }
  return gate;
}
