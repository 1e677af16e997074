import type { ReceivedMessage } from '../../message/message.js';
import type { RemotingCommand } from './protocol/remoting-command.js';
import type { StoredMessage } from './protocol/stored-message.js';

/** A broker's question about a half message. (Java: `CheckTransactionStateRequestHeader` and its body.) */
export interface TransactionCheckRequest {
  readonly command: RemotingCommand;
  /** The half message as it is stored now. */
  readonly stored: StoredMessage;
  /** Who asks; the answer goes there. */
  readonly address: string;
}

/** A producer as the client instance sees it. (Java: `MQProducerInner`.) */
export interface ProducerMember {
  /** Whether it answers checks: then every broker must know it, not only those of topics it has sent to. */
  readonly transactional: boolean;
  /** Whether it waits for replies, which come from any broker. */
  readonly requesting: boolean;
  /** Whether this producer waited for the reply. Must not throw. */
  onReply(correlationId: string, reply: ReceivedMessage): boolean;
  /** CHECK_TRANSACTION_STATE (39) for a half message of the group. Must not throw. */
  onCheck(request: TransactionCheckRequest): void;
}
