import type { Provider } from '@nestjs/common';
import { DEFAULT_CONNECTION } from '../listener/listener-options.js';
import { RocketMQTemplate } from '../template/rocketmq-template.js';
import { getRocketMQTemplateToken } from '../template/template.tokens.js';
import { TRANSACTIONS } from '../transaction/transaction.tokens.js';
import type { Transactions } from '../transaction/transactions.js';
import { RocketMQConnections } from './rocketmq-connections.js';

/** The template of a connection. Transactional messages go over the default one, where the checks arrive. */
export function templateProvider(connection: string): Provider {
  return {
    provide: getRocketMQTemplateToken(connection),
    inject: [RocketMQConnections, TRANSACTIONS],
    useFactory: (connections: RocketMQConnections, transactions: Transactions | undefined) => {
      const { producer, serializer } = connections.get(connection);
      return new RocketMQTemplate(
        producer,
        serializer,
        connection === DEFAULT_CONNECTION ? transactions?.runner : undefined,
      );
    },
  };
}

/** The template of a named connection, in a module that sees no more than the connections. */
export function namedTemplateProvider(connection: string): Provider {
  return {
    provide: getRocketMQTemplateToken(connection),
    inject: [RocketMQConnections],
    useFactory: (connections: RocketMQConnections) => {
      const { producer, serializer } = connections.get(connection);
      return new RocketMQTemplate(producer, serializer, undefined);
    },
  };
}
