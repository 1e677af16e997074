import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ClientInstance } from '../client-instance.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';

/**
 * Withdraws a timer message. The handle names the broker that holds it: `v1 topic broker timestamp messageId`,
 * base64url-encoded. (Java: `RecallMessageHandle`, `DefaultMQProducerImpl.recallMessage`.)
 *
 * @param group as brokers know it
 * @param topic as the application knows it
 * @returns message id of the withdrawn message
 * @throws RocketMQError `INVALID_ARGUMENT` for a handle that is none, or what the broker refused with
 */
export async function recallMessage(
  instance: ClientInstance,
  group: string,
  topic: string,
  recallHandle: string,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<string> {
  const brokerTopic = instance.namespace.wrap(topic);
  const brokerName = brokerOf(recallHandle);
  // Another process may have sent it, so that the route is not known here.
  if (instance.routes.masterAddress(brokerName) === undefined) {
    await instance.routes.publishQueues(brokerTopic, { autoCreate: false });
  }
  const address = instance.routes.masterAddress(brokerName);
  if (address === undefined) {
    throw new RocketMQError(
      'CONNECTION_FAILED',
      `Broker "${brokerName}", which holds the message to recall, has no master now. Try again when it is back.`,
      { retryable: true },
    );
  }
  const response = await instance.channels.invoke(
    address,
    {
      code: RequestCode.RECALL_MESSAGE,
      fields: { producerGroup: group, topic: brokerTopic, recallHandle, bname: brokerName },
    },
    { timeoutMs },
  );
  if (response.code !== ResponseCode.SUCCESS) {
    throw responseError(`Recalling a message of "${topic}"`, response, address);
  }
  return response.fields['msgId'] ?? '';
}

function brokerOf(recallHandle: string): string {
  const [version, , brokerName, , messageId] = Buffer.from(recallHandle, 'base64url')
    .toString('utf8')
    .split(' ');
  if (version === 'v1' && brokerName !== undefined && messageId !== undefined) return brokerName;
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    'The recall handle is none. Pass the recallHandle of the receipt of a timer message.',
  );
}
