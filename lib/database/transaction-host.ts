import type { DataSource, EntityManager } from 'typeorm';

/**
 * Finds the transaction a call is part of without it being handed over. Asked at every call, never cached: a
 * holder may outlive its transaction, so the answer is also checked for being active.
 */
export interface TransactionHost {
  /** The manager of the current transaction, or undefined when there is none. */
  current(): EntityManager | undefined;
}

/**
 * For libraries that make the DataSource's own manager follow the current transaction, as typeorm-transactional does.
 * The default.
 */
export function dataSourceTransactionHost(dataSource: DataSource): TransactionHost {
  return { current: () => dataSource.manager };
}

/** The part of `TransactionHost` of @nestjs-cls/transactional (with its TypeORM adapter) that is needed here. */
export interface ClsTransactionHost {
  readonly tx: unknown;
  /** When it says no, `tx` is not looked at. */
  isTransactionActive?(): boolean;
}

/**
 * For @nestjs-cls/transactional with its TypeORM adapter: pass its injected `TransactionHost`, or a function that
 * finds it when it is needed, `() => TransactionHost.getInstance()`.
 */
export function clsTransactionHost(host: ClsTransactionHost | (() => ClsTransactionHost)): TransactionHost {
  return {
    current: () => {
      const found = typeof host === 'function' ? host() : host;
      return found.isTransactionActive?.() === false ? undefined : (found.tx as EntityManager | undefined);
    },
  };
}
