import type { TransactionResolution } from '../../producer.js';
import type { ClientInstance } from '../client-instance.js';
import { MessageSysFlag } from '../protocol/message-sys-flag.js';
import type { RemotingRequest } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';

/** Where a half message lies now. The broker moves it with every check and accepts only the latest place. */
export interface HalfPosition {
  readonly commitLogOffset: number;
  /** Queue offset in the half topic. */
  readonly tranStateTableOffset: number;
}

export interface HalfIdentity {
  /** As brokers know it. */
  readonly topic: string;
  readonly brokerName: string | undefined;
  readonly messageId: string;
  readonly transactionId: string;
}

const COMMIT_OR_ROLLBACK: Readonly<Record<TransactionResolution, number>> = {
  commit: MessageSysFlag.TRANSACTION_COMMIT_TYPE,
  rollback: MessageSysFlag.TRANSACTION_ROLLBACK_TYPE,
  unknown: MessageSysFlag.TRANSACTION_NOT_TYPE,
};

/** (Java: `EndTransactionRequestHeader`.) */
export function endTransactionRequest(
  producerGroup: string,
  half: HalfIdentity,
  position: HalfPosition,
  resolution: TransactionResolution,
  fromTransactionCheck: boolean,
): RemotingRequest {
  return {
    code: RequestCode.END_TRANSACTION,
    fields: {
      topic: half.topic,
      producerGroup,
      tranStateTableOffset: position.tranStateTableOffset,
      commitLogOffset: position.commitLogOffset,
      commitOrRollback: COMMIT_OR_ROLLBACK[resolution],
      fromTransactionCheck,
      msgId: half.messageId,
      transactionId: half.transactionId,
      bname: half.brokerName,
    },
  };
}

/**
 * Tells a broker how a transaction ended, and waits for the answer. Java does not wait (one-way); brokers answer all
 * the same, and a caller that knows of the loss need not wait for the check.
 *
 * @throws RocketMQError when the broker refused or did not answer
 */
export async function endTransaction(
  instance: ClientInstance,
  address: string,
  request: RemotingRequest,
  what: string,
): Promise<void> {
  const response = await instance.channels.invoke(address, request, { timeoutMs: instance.requestTimeoutMs });
  if (response.code !== ResponseCode.SUCCESS) throw responseError(what, response, address);
}
