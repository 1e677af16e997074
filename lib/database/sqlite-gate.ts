import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, QueryRunner } from 'typeorm';
import { RocketMQError } from '../message/rocketmq-error.js';

type Row = Readonly<Record<string, unknown>>;

/** The part of a better-sqlite3 (or libsql) database that is used here; everything is synchronous. */
interface NativeSqlite {
  readonly inTransaction: boolean;
  prepare(sql: string): NativeStatement;
  exec(sql: string): unknown;
}

interface NativeStatement {
  /** A list, since libsql takes a lone null for an object of named parameters. */
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { readonly changes: number };
}

/** Statements of one synchronous transaction. */
export interface SqliteTransaction {
  all(sql: string, ...parameters: unknown[]): readonly Row[];
  /** Resolves with the number of rows changed. */
  run(sql: string, ...parameters: unknown[]): number;
}

/**
 * Turns on the one connection a SQLite DataSource has. TypeORM shares one query runner among all callers: two
 * transactions at the same time become one with a savepoint, and a statement from outside runs inside whatever
 * transaction is open. Everything this library does on SQLite takes its turn here; an application's own
 * transactions should too (`runInTransaction`), and are waited for when they do not.
 *
 * A second DataSource on the same file is no way out: the driver would block the event loop, and with it the
 * transaction it waits for.
 */
export class SqliteGate {
  private tail: Promise<unknown> = Promise.resolve();
  private readonly inside = new AsyncLocalStorage<true>();
  private statements:
    { readonly native: NativeSqlite; readonly cache: Map<string, NativeStatement> } | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** Runs work that may await, while nobody else here uses the connection. */
  run<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
    return this.inTurn(async () => {
      await this.typeormIdle();
      return this.inside.run(true, () => work(this.dataSource.createQueryRunner()));
    });
  }

  /** Runs statements in one synchronous step between transactions, so that nothing can come in between. */
  runNative<T>(work: (tx: SqliteTransaction) => T): Promise<T> {
    return this.inTurn(() => {
      const native = this.native();
      native.exec('BEGIN IMMEDIATE');
      try {
        const result = work({
          all: (sql, ...parameters) => this.prepare(native, sql).all(parameters) as Row[],
          run: (sql, ...parameters) => this.prepare(native, sql).run(parameters).changes,
        });
        native.exec('COMMIT');
        return result;
      } catch (error) {
        if (native.inTransaction) native.exec('ROLLBACK');
        throw error;
      }
    });
  }

  private inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.inside.getStore() === true) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        'On SQLite this would wait for the transaction it is called in. Use the EntityManager at hand, or call it after the transaction.',
      );
    }
    const turn = this.tail.then(async () => {
      await this.idle();
      return work();
    });
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  private prepare(native: NativeSqlite, sql: string): NativeStatement {
    if (this.statements?.native !== native) this.statements = { native, cache: new Map() };
    const { cache } = this.statements;
    let statement = cache.get(sql);
    if (statement === undefined) {
      statement = native.prepare(sql);
      cache.set(sql, statement);
    }
    return statement;
  }

  private native(): NativeSqlite {
    return (this.dataSource.driver as unknown as { databaseConnection: NativeSqlite }).databaseConnection;
  }

  /** No clock of the library here: the wait is for other code on this event loop, not for time. */
  private async idle(): Promise<void> {
    while (this.native().inTransaction) await tick();
  }

  /** A transaction begins for TypeORM a moment before it does for the database. */
  private async typeormIdle(): Promise<void> {
    const queryRunner = this.dataSource.createQueryRunner();
    for (let ticks = 0; queryRunner.isTransactionActive || this.native().inTransaction; ticks += 1) {
      if (this.native().inTransaction) ticks = 0;
      if (ticks > STALE_TICKS) {
        throw new RocketMQError(
          'DATABASE_FAILED',
          'TypeORM believes that a transaction is open on this SQLite connection, and the database says that none is. End transactions with the query runner, not with a COMMIT or ROLLBACK of your own.',
        );
      }
      await tick();
    }
  }
}

/** So many looks, a millisecond or more apart, until the two disagree for good. */
const STALE_TICKS = 1_000;

function tick(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
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
