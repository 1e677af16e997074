import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { RocketMQError } from '../message/rocketmq-error.js';

/**
 * The query runner of a manager that has a transaction open on this DataSource, now. Undefined stands for a call
 * without a manager, around which no transaction was found.
 *
 * @throws RocketMQError `NO_TRANSACTION` outside a transaction and after it ended; `INVALID_ARGUMENT` for a manager
 * of another DataSource
 */
export function assertTransaction(
  manager: EntityManager | undefined,
  dataSource: DataSource,
  what: string,
): QueryRunner {
  if (manager === undefined) {
    throw new RocketMQError(
      'NO_TRANSACTION',
      `${what} needs a transaction, and there is no transaction around this call. Pass the manager that dataSource.transaction(async (tx) => …) hands over, or let database.transactionHost find the current one.`,
    );
  }
  const { queryRunner } = manager;
  if (queryRunner === undefined || queryRunner === null) {
    throw new RocketMQError(
      'NO_TRANSACTION',
      `${what} needs a transaction, and this EntityManager has none. Pass the manager that dataSource.transaction(async (tx) => …) hands over.`,
    );
  }
  if (manager.dataSource !== dataSource) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `${what} got an EntityManager of another DataSource than the one it was set up with. Pass a manager of the same DataSource: a transaction cannot span two.`,
    );
  }
  if (queryRunner.isReleased || !queryRunner.isTransactionActive) {
    throw new RocketMQError(
      'NO_TRANSACTION',
      `${what} was called after the transaction had ended (or before it began). Await it inside the transaction.`,
    );
  }
  return queryRunner;
}
