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
  isTransactionActive?(): boolean;
}

/** For @nestjs-cls/transactional: pass its injected `TransactionHost<TransactionalAdapterTypeOrm>`. */
export function clsTransactionHost(host: ClsTransactionHost): TransactionHost {
  return {
    current: () =>
      host.isTransactionActive?.() === false ? undefined : (host.tx as EntityManager | undefined),
  };
}
