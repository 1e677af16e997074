import type { World } from './world.js';

export type Row = Readonly<Record<string, unknown>>;

/** As drivers report it: `code` is an SQLSTATE of PostgreSQL, or what the operating system says. */
export class DatabaseError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Waiter {
  readonly tx: Tx;
  readonly granted: () => void;
  readonly refused: (error: Error) => void;
}

interface Lock {
  holder: Tx;
  readonly waiting: Waiter[];
  /** Nobody holds it, nobody waits. */
  readonly free: () => void;
}

/** What a statement answers. */
export interface Answer {
  readonly records?: readonly Row[];
  readonly affected?: number;
}

/**
 * A database as far as protocols can tell: transactions at READ COMMITTED, row locks with queues, unique keys that
 * make a second writer wait for the first, SKIP LOCKED, lock timeouts, dead-locks, sequences that leave gaps, one
 * clock. Nothing is read before it is committed, except by its own transaction.
 */
export class FakeDatabase {
  readonly #tables = new Map<string, Map<string, Row>>();
  /** By table, then key. */
  readonly #locks = new Map<string, Map<string, Lock>>();
  readonly #sequences = new Map<string, number>();
  /** Told about every row of a transaction at the moment it is committed; undefined: deleted. */
  onCommit: (table: string, key: string, row: Row | undefined) => void = () => undefined;

  constructor(readonly world: World) {}

  now(): number {
    return this.world.clock.monotonic();
  }

  /** What is committed. */
  table(name: string): ReadonlyMap<string, Row> {
    return this.#table(name);
  }

  begin(): Tx {
    return new Tx(this);
  }

  /** Sessions of all clients. */
  readonly sessions = new Set<{ terminate(): void }>();

  /** A restart, or an administrator: every session ends, and what is not committed never happened. */
  terminateAll(): void {
    for (const session of this.sessions) session.terminate();
    this.sessions.clear();
  }

  /** Before anything runs. */
  seed(table: string, key: string, row: Row): void {
    this.#table(table).set(key, row);
  }

  /** @internal */
  nextOf(sequence: string): number {
    const next = (this.#sequences.get(sequence) ?? 0) + 1;
    this.#sequences.set(sequence, next);
    return next;
  }

  /** @internal */
  lock(tx: Tx, table: string, key: string, options: LockOptions): boolean | Promise<boolean> {
    const locks = this.#locksOf(table);
    const lock = locks.get(key);
    if (lock === undefined) {
      const taken: Lock = { holder: tx, waiting: [], free: () => locks.delete(key) };
      locks.set(key, taken);
      tx.held.push(taken);
      return true;
    }
    if (lock.holder === tx) return true;
    if (options.skip) return false;
    if (this.#wouldDeadlock(tx, lock)) throw new DatabaseError('40P01', 'deadlock detected');
    return new Promise<boolean>((resolve, reject) => {
      const { timeoutMs } = options;
      const timer =
        timeoutMs === undefined
          ? undefined
          : this.world.clock.setTimeout(
              () => end(() => reject(new DatabaseError('55P03', 'canceling statement due to lock timeout'))),
              timeoutMs,
            );
      const end = (settle: () => void): void => {
        if (timer !== undefined) this.world.clock.clearTimeout(timer);
        tx.waitsFor = undefined;
        const index = lock.waiting.indexOf(waiter);
        if (index >= 0) lock.waiting.splice(index, 1);
        settle();
      };
      const waiter: Waiter = {
        tx,
        granted: () => end(() => resolve(true)),
        refused: (error) => end(() => reject(error)),
      };
      lock.waiting.push(waiter);
      tx.waitsFor = { lock, waiter };
    });
  }

  /** @internal */
  finish(tx: Tx, commit: boolean): void {
    if (commit && tx.writes !== undefined) {
      for (const [name, rows] of tx.writes) {
        const table = this.#table(name);
        for (const [key, row] of rows) {
          if (row === undefined) table.delete(key);
          else table.set(key, row);
          this.onCommit(name, key, row);
        }
      }
    }
    tx.waitsFor?.waiter.refused(new DatabaseError('57P01', 'terminating connection'));
    for (const lock of tx.held) {
      const next = lock.waiting[0];
      if (next === undefined) {
        lock.free();
        continue;
      }
      lock.holder = next.tx;
      next.tx.held.push(lock);
      next.granted();
    }
    tx.held.length = 0;
  }

  #locksOf(table: string): Map<string, Lock> {
    const known = this.#locks.get(table);
    if (known !== undefined) return known;
    const locks = new Map<string, Lock>();
    this.#locks.set(table, locks);
    return locks;
  }

  #table(name: string): Map<string, Row> {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = new Map<string, Row>();
    this.#tables.set(name, table);
    return table;
  }

  #wouldDeadlock(tx: Tx, lock: Lock): boolean {
    const seen = new Set<Tx>();
    for (let holder: Tx | undefined = lock.holder; holder !== undefined && !seen.has(holder);) {
      if (holder === tx) return true;
      seen.add(holder);
      holder = holder.waitsFor?.lock.holder;
    }
    return false;
  }
}

const NO_OPTIONS: LockOptions = {};

export interface LockOptions {
  /** Do not wait. */
  readonly skip?: boolean;
  readonly timeoutMs?: number;
}

/** One transaction, as statements use it. A row is locked before it is changed. */
export class Tx {
  /** By table, then key; undefined: deleted. */
  writes: Map<string, Map<string, Row | undefined>> | undefined;
  readonly held: Lock[] = [];
  waitsFor: { readonly lock: Lock; readonly waiter: Waiter } | undefined;
  /** A statement failed: nothing but a rollback is possible. */
  failed = false;
  ended = false;

  constructor(readonly database: FakeDatabase) {}

  now(): number {
    return this.database.now();
  }

  nextOf(sequence: string): number {
    return this.database.nextOf(sequence);
  }

  /** Resolves with false when the row is locked and `skip` is given. */
  lock(table: string, key: string, options: LockOptions = NO_OPTIONS): boolean | Promise<boolean> {
    return this.database.lock(this, table, key, options);
  }

  get(table: string, key: string): Row | undefined {
    const own = this.writes?.get(table);
    return own?.has(key) ? own.get(key) : this.database.table(table).get(key);
  }

  /** Everything this transaction sees. */
  rows(table: string): Row[] {
    const committed = this.database.table(table);
    const own = this.writes?.get(table);
    if (own === undefined) return [...committed.values()];
    const visible: Row[] = [];
    for (const [key, row] of committed) if (!own.has(key)) visible.push(row);
    for (const row of own.values()) if (row !== undefined) visible.push(row);
    return visible;
  }

  put(table: string, key: string, row: Row): void {
    this.#own(table).set(key, row);
  }

  remove(table: string, key: string): void {
    this.#own(table).set(key, undefined);
  }

  /** False: the answer to COMMIT was a rollback. */
  commit(): boolean {
    const good = !this.failed;
    this.#end(good);
    return good;
  }

  rollback(): void {
    this.#end(false);
  }

  #end(commit: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.database.finish(this, commit);
  }

  #own(table: string): Map<string, Row | undefined> {
    this.writes ??= new Map();
    const known = this.writes.get(table);
    if (known !== undefined) return known;
    const own = new Map<string, Row | undefined>();
    this.writes.set(table, own);
    return own;
  }
}
