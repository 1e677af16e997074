import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { ParameterKind } from './listener-metadata.js';
import type { RocketMQContext } from './rocketmq-context.js';

/** Gives Nest the value of each decorated parameter of a handler. */
export class HandlerParameters {
  constructor(private readonly batch: boolean) {}

  /** Called by Nest, synchronously, after guards and inside interceptors. */
  exchangeKeyForValue(kind: number, data: unknown, args: readonly unknown[]): unknown {
    const context = args[1] as RocketMQContext;
    context.reachedParameters = true;
    switch (kind) {
      case ParameterKind.payload:
        return args[0];
      case ParameterKind.context:
        return context;
      case ParameterKind.headers:
        return this.each(context, ({ headers }) => (typeof data === 'string' ? headers[data] : headers));
      case ParameterKind.key:
        return this.each(context, ({ keys }) => keys[0]);
      case ParameterKind.message:
        return this.batch ? context.messages : context.message;
      case ParameterKind.transaction:
        return transactionOf(context);
      default:
        return undefined;
    }
  }

  private each(context: RocketMQContext, read: (message: ReceivedMessage) => unknown): unknown {
    return this.batch ? context.messages.map(read) : read(context.message);
  }
}

function transactionOf(context: RocketMQContext): unknown {
  if (context.tx === undefined) {
    throw new RocketMQError(
      'NO_TRANSACTION',
      `Listener "${context.listener}" asks for @Tx(), but no transaction is open. Put @Idempotent() on the handler.`,
    );
  }
  return context.tx;
}
