import type { DataSource, EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { DatabaseError, type Answer, type FakeDatabase, type Tx } from './fake-database.js';
import type { FaultKind } from './faults.js';
import { never, type Machine } from './machine.js';
import { statementFor, type KnownStatement, type Statement } from './statements.js';

interface Subscriber extends Pick<
  EntitySubscriberInterface,
  'afterQuery' | 'afterTransactionCommit' | 'afterTransactionRollback'
> {}

/** The part of a TypeORM DataSource that the library uses, for one process. */
export interface FakeDataSource {
  readonly options: { readonly type: 'postgres' };
  readonly subscribers: Subscriber[];
  readonly manager: { readonly queryRunner: undefined };
  createQueryRunner(): FakeQueryRunner;
}

export function fakeDataSource(machine: Machine, database: FakeDatabase): DataSource {
  const open = new Set<FakeQueryRunner>();
  const dataSource: FakeDataSource = {
    options: { type: 'postgres' },
    subscribers: [],
    manager: { queryRunner: undefined },
    createQueryRunner: () => {
      const runner = new FakeQueryRunner(machine, database, dataSource, () => {
        open.delete(runner);
        database.sessions.delete(runner);
      });
      open.add(runner);
      database.sessions.add(runner);
      return runner;
    },
  };
  machine.onCrash(() => {
    for (const runner of open) runner.clientGone();
  });
  return dataSource as unknown as DataSource;
}

/**
 * A connection and its session in the database. Behaves as TypeORM's runner for PostgreSQL does, where the library
 * relies on it: one statement at a time, a failed statement spoils the transaction, COMMIT of a spoiled one answers
 * ROLLBACK without an error, subscribers hear of the end.
 */
export class FakeQueryRunner {
  isReleased = false;
  isTransactionActive = false;
  readonly data: Record<PropertyKey, unknown> = {};
  readonly manager: EntityManager;
  #connected = false;
  /** The connection broke; the session in the database is gone. */
  #broken = false;
  #tx: Tx | undefined;
  /** A statement without transaction is at work. */
  #working = false;
  #gone = false;

  constructor(
    private readonly machine: Machine,
    private readonly database: FakeDatabase,
    private readonly dataSource: FakeDataSource,
    private readonly onRelease: () => void,
  ) {
    this.manager = {
      queryRunner: this,
      dataSource,
      query: (sql: string, parameters: unknown[] = []) =>
        this.query(sql, parameters, true).then(({ records }) => records),
    } as unknown as EntityManager;
  }

  connect(): Promise<void> {
    if (this.#connected) return Promise.resolve();
    return this.#call('db.connect', () => {
      this.#connected = true;
    });
  }

  async startTransaction(): Promise<void> {
    this.isTransactionActive = true;
    if (!this.#isReady) await this.#ready();
    await this.#call('db.begin', () => {
      this.#tx = this.database.begin();
    });
  }

  async query(sql: string, parameters: readonly unknown[], _structured: true): Promise<QueryAnswer> {
    const statement = this.#known(sql);
    if (!this.#isReady) await this.#ready();
    try {
      const answer = await this.#call(statement.point, () => this.#execute(statement, parameters));
      this.#tell({ query: sql, success: true, rawResults: undefined });
      return { raw: undefined, records: answer.records ?? [], affected: answer.affected ?? 0 };
    } catch (error) {
      this.#tell({ query: sql, success: false, rawResults: undefined });
      throw error;
    }
  }

  async commitTransaction(): Promise<void> {
    if (!this.isTransactionActive) throw new Error('No transaction is active');
    const committed = await this.#call('db.commit', () => {
      const good = this.#tx?.commit() ?? false;
      this.#tx = undefined;
      return good;
    });
    this.#tell({
      query: 'COMMIT',
      success: true,
      rawResults: { command: committed ? 'COMMIT' : 'ROLLBACK' },
    });
    this.isTransactionActive = false;
    for (const subscriber of this.dataSource.subscribers) {
      void subscriber.afterTransactionCommit?.(this.#event());
    }
  }

  async rollbackTransaction(): Promise<void> {
    if (!this.isTransactionActive) throw new Error('No transaction is active');
    await this.#call('db.rollback', () => {
      this.#tx?.rollback();
      this.#tx = undefined;
    });
    this.#tell({ query: 'ROLLBACK', success: true, rawResults: undefined });
    this.isTransactionActive = false;
    for (const subscriber of this.dataSource.subscribers) {
      void subscriber.afterTransactionRollback?.(this.#event());
    }
  }

  release(): Promise<void> {
    this.isReleased = true;
    // A pool would hand on an open transaction to whoever comes next; the checker wants to know.
    if (this.#tx !== undefined && !this.#broken && this.machine.alive) {
      this.machine.world.violate(`${this.machine.name} gave back a connection with an open transaction`);
    }
    this.#end();
    this.onRelease();
    return Promise.resolve();
  }

  /** The process died, and the database notices: what was already on its way there is still done. */
  clientGone(): void {
    this.#gone = true;
    if (!this.#working) this.#end();
  }

  /** The database ends the session. */
  terminate(): void {
    this.#end();
  }

  #known(sql: string): KnownStatement {
    try {
      return statementFor(sql);
    } catch (error) {
      this.machine.world.violate((error as Error).message);
      throw error;
    }
  }

  get #isReady(): boolean {
    return this.#connected && !this.isReleased;
  }

  async #ready(): Promise<void> {
    if (this.isReleased) throw new Error('QueryRunner was released already');
    await this.connect();
  }

  /** Out to the database and back, with what may happen on the way. */
  async #call<T>(point: string, effect: () => T | Promise<T>): Promise<T> {
    const { machine } = this;
    const { world } = machine;
    if (!machine.alive) return never();
    if (machine.frozen) await machine.awake();
    if (this.#broken) throw gone();
    const fault = world.cross(machine, point);
    if (fault !== undefined) await this.#before(fault);
    const latency = world.latencyMs();
    const early = world.random.chance(0.5);
    this.#working = true;
    let answer: T;
    try {
      if (latency > 0 && !early) await world.pause(latency);
      if (this.#broken) throw gone();
      if (fault === 'deadlock') throw this.#spoiled(new DatabaseError('40P01', 'deadlock detected'));
      const acting = effect();
      answer = acting instanceof Promise ? await acting : acting;
    } finally {
      this.#working = false;
      if (this.#gone) this.#end();
    }
    if (latency > 0 && early) await world.pause(latency);
    if (fault !== undefined) await this.#after(fault);
    if (!machine.alive || machine.frozen) await machine.awake();
    if (this.#broken) throw gone();
    return answer;
  }

  async #before(fault: FaultKind): Promise<void> {
    const { machine } = this;
    if (fault === 'crash-before') {
      machine.crash();
      await never();
    }
    if (fault === 'freeze-before') {
      machine.freeze(machine.world.freezeMs());
      await machine.awake();
    }
    if (fault === 'slow-before') await machine.world.pause(machine.world.slowMs());
    if (fault === 'fail-before') this.#break();
  }

  async #after(fault: FaultKind): Promise<void> {
    const { machine } = this;
    if (fault === 'crash-after') machine.crash();
    if (fault === 'freeze-after') machine.freeze(machine.world.freezeMs());
    if (fault === 'slow-after') await machine.world.pause(machine.world.slowMs());
    if (fault === 'fail-after') this.#break();
  }

  #break(): never {
    this.#end();
    throw gone();
  }

  /** The session in the database ends: what is not committed never happened. */
  #end(): void {
    this.#broken = true;
    this.#tx?.rollback();
    this.#tx = undefined;
  }

  /** At once, unless something is locked. */
  #execute(statement: Statement, parameters: readonly unknown[]): Answer | Promise<Answer> {
    const tx = this.#tx;
    if (tx === undefined) return this.#autocommit(statement, parameters);
    if (tx.failed) throw new DatabaseError('25P02', 'current transaction is aborted');
    return attempt(
      () => statement.run(tx, parameters),
      (answer) => answer,
      (error) => {
        throw this.#spoiled(error);
      },
    );
  }

  #autocommit(statement: Statement, parameters: readonly unknown[]): Answer | Promise<Answer> {
    const tx = this.database.begin();
    return attempt(
      () => statement.run(tx, parameters),
      (answer) => {
        tx.commit();
        return answer;
      },
      (error) => {
        tx.rollback();
        throw error;
      },
    );
  }

  #spoiled(error: Error): Error {
    if (this.#tx !== undefined) {
      this.#tx.failed = true;
      this.#tx.rollback(); // its locks are free at once; COMMIT and ROLLBACK only end the block
    }
    return error;
  }

  #tell(query: { query: string; success: boolean; rawResults: unknown }): void {
    for (const subscriber of this.dataSource.subscribers) {
      void subscriber.afterQuery?.({ queryRunner: this, ...query } as never);
    }
  }

  #event(): never {
    return { queryRunner: this as unknown as QueryRunner, dataSource: this.dataSource } as never;
  }
}

interface QueryAnswer {
  readonly raw: undefined;
  readonly records: readonly Readonly<Record<string, unknown>>[];
  readonly affected: number;
}

/** Goes on with what comes at once without waiting for it. */
function attempt(
  work: () => Answer | Promise<Answer>,
  onAnswer: (answer: Answer) => Answer,
  onError: (error: Error) => never,
): Answer | Promise<Answer> {
  let answer: Answer | Promise<Answer>;
  try {
    answer = work();
  } catch (error) {
    return onError(error as Error);
  }
  return answer instanceof Promise ? answer.then(onAnswer, onError) : onAnswer(answer);
}

function gone(): Error {
  return new DatabaseError('ECONNRESET', 'Connection terminated unexpectedly');
}
