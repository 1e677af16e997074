import type { Provider } from '@nestjs/common';
import { DEFAULT_CONNECTION } from '../listener/listener-options.js';
import { RocketMQTemplate } from '../template/rocketmq-template.js';
import { getRocketMQTemplateToken } from '../template/template.tokens.js';
import type { TransactionalSend } from '../template/transactional-send.js';
import { TRANSACTIONAL_SEND } from './module.tokens.js';
import { RocketMQConnections } from './rocketmq-connections.js';

/** The template of a connection. Transactional messages go over the default one, where the checks arrive. */
export function templateProvider(connection: string): Provider {
  return {
    provide: getRocketMQTemplateToken(connection),
    inject: [RocketMQConnections, TRANSACTIONAL_SEND],
    useFactory: (connections: RocketMQConnections, transactions: TransactionalSend | undefined) => {
      const { producer, serializer } = connections.get(connection);
      return new RocketMQTemplate(
        producer,
        serializer,
        connection === DEFAULT_CONNECTION ? transactions : undefined,
      );
    },
  };
}
