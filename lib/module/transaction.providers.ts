import type { Provider } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '../client/clock.js';
import { RocketMQEvents } from '../observability/rocketmq-events.js';
import type { OutboxFeature } from '../outbox/create-outbox.js';
import { OUTBOX_FEATURE } from '../outbox/outbox.tokens.js';
import { createTransactions } from '../transaction/create-transactions.js';
import { TRANSACTIONS } from '../transaction/transaction.tokens.js';
import type { Transactions } from '../transaction/transactions.js';
import { ROCKETMQ_DATA_SOURCE } from './data-source.provider.js';
import { type LifecyclePart, problemsOf } from './lifecycle-part.js';
import { CLOCK } from './module.tokens.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';
import { RocketMQConnections } from './rocketmq-connections.js';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';
import type { TransactionCheckerExplorer } from './transaction-checker.explorer.js';

export const transactionProviders: Provider[] = [
  {
    provide: TRANSACTIONS,
    inject: [
      MODULE_OPTIONS_TOKEN,
      ROCKETMQ_DATA_SOURCE,
      RocketMQConnections,
      RocketMQEvents,
      CLOCK,
      OUTBOX_FEATURE,
    ],
    useFactory: (
      { transactions, producer }: RocketMQModuleOptions,
      dataSource: DataSource,
      connections: RocketMQConnections,
      events: RocketMQEvents,
      clock: Clock,
      outbox: OutboxFeature | undefined,
    ): Transactions | undefined => {
      if (!transactions) return undefined;
      const connection = connections.get();
      return createTransactions({
        dataSource,
        producer: connection.producer,
        events,
        clock,
        serializer: connection.serializer,
        ...(producer?.maxMessageSize !== undefined && { maxMessageSize: producer.maxMessageSize }),
        ...(outbox !== undefined && { outbox: outbox.outbox }),
        ...(transactions !== true && { options: transactions }),
      });
    },
  },
];

/**
 * Answers checks. The producer starts with the application, not with the first message: brokers may ask about half
 * messages of an earlier life.
 */
export function transactionPart(
  transactions: Transactions,
  checkers: TransactionCheckerExplorer,
  connections: RocketMQConnections,
): LifecyclePart {
  return {
    name: 'transactions',
    check: async () => [
      ...checkers.register(transactions.checkers),
      ...(await problemsOf('transactions', () => transactions.check())),
    ],
    start: async () => {
      await connections.get().producer.start();
      transactions.start();
    },
    stop: () => transactions.stop(),
  };
}
