import type { InjectionToken, Provider } from '@nestjs/common';
import type { ClientLog } from '../client/rocketmq-client.js';
import type { Idempotency } from '../idempotency/idempotency.js';
import { IDEMPOTENCY } from '../idempotency/idempotency.tokens.js';
import type { OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { TRANSACTIONS } from '../transaction/transaction.tokens.js';
import type { Transactions } from '../transaction/transactions.js';
import { dataSourceProvider } from './data-source.provider.js';
import { idempotencyExports, idempotencyPart, idempotencyProviders } from './idempotency.providers.js';
import { LIFECYCLE_PARTS, type LifecyclePart } from './lifecycle-part.js';
import { CLIENT_LOG } from './module.tokens.js';
import { outboxExports, outboxPart, outboxProviders } from './outbox.providers.js';
import { RocketMQConnections } from './rocketmq-connections.js';
import { TransactionCheckerExplorer } from './transaction-checker.explorer.js';
import { transactionPart, transactionProviders } from './transaction.providers.js';

/** Outbox, idempotency and transactions; each only when its option is set. */
export const databaseProviders: Provider[] = [
  dataSourceProvider,
  ...outboxProviders,
  ...idempotencyProviders,
  ...transactionProviders,
  TransactionCheckerExplorer,
  {
    provide: LIFECYCLE_PARTS,
    inject: [
      OUTBOX_FEATURE,
      IDEMPOTENCY,
      TRANSACTIONS,
      TransactionCheckerExplorer,
      RocketMQConnections,
      CLIENT_LOG,
    ],
    useFactory: lifecycleParts,
  },
];

export const databaseExports: InjectionToken[] = [...outboxExports, ...idempotencyExports];

function lifecycleParts(
  outbox: OutboxFeature | undefined,
  idempotency: Idempotency | undefined,
  transactions: Transactions | undefined,
  checkers: TransactionCheckerExplorer,
  connections: RocketMQConnections,
  log: ClientLog,
): LifecyclePart[] {
  return [
    ...(outbox === undefined ? [] : [outboxPart(outbox)]),
    ...(idempotency === undefined ? [] : [idempotencyPart(idempotency, log)]),
    ...(transactions === undefined ? [] : [transactionPart(transactions, checkers, connections)]),
  ];
}
