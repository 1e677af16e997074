import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { SendBackOptions } from '../../consumer/consumer-broker.js';
import { LOCK_TIMEOUT_MS } from '../../consumer/queue-locks.js';
import type { StoredPosition } from '../../consumer/stored-message.js';
import type { ClientInstance } from '../client-instance.js';
import { parseLenientJson, type LenientValue } from '../protocol/lenient-json.js';
import { toMessageQueue } from '../protocol/queue-map.js';
import type { RemotingCommand, RemotingRequest } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';
import type { SubscriptionData } from '../protocol/subscription-data.js';

/** What consumers ask brokers besides messages. (Java: the consumer's part of `MQClientAPIImpl`.) */
export class ConsumerRequests {
  readonly #instance: ClientInstance;
  /** As the broker knows it. */
  readonly #group: string;

  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance;
    this.#group = group;
  }

  /**
   * The offset the group committed, or undefined when it has none.
   *
   * `setZeroIfNotFound=false` keeps brokers from 5.0 from answering 0 for young topics, so that `startFrom` means
   * what it says; 4.x brokers do not know the field.
   */
  async committedOffset(queue: MessageQueue): Promise<number | undefined> {
    const request = this.#queueRequest(RequestCode.QUERY_CONSUMER_OFFSET, queue, {
      consumerGroup: this.#group,
      setZeroIfNotFound: false,
    });
    const { response, address } = await this.#ask(queue.brokerName, request);
    if (response.code === ResponseCode.QUERY_NOT_FOUND) return undefined;
    return offsetField(response, address, 'Reading the offset of the group');
  }

  async commitOffset(queue: MessageQueue, offset: number): Promise<void> {
    const request = this.#queueRequest(RequestCode.UPDATE_CONSUMER_OFFSET, queue, {
      consumerGroup: this.#group,
      commitOffset: offset,
    });
    await this.#expectSuccess(queue.brokerName, request, 'Committing the offset of the group');
  }

  async maxOffset(queue: MessageQueue): Promise<number> {
    return this.#offsetOf(queue, this.#queueRequest(RequestCode.GET_MAX_OFFSET, queue));
  }

  async minOffset(queue: MessageQueue): Promise<number> {
    return this.#offsetOf(queue, this.#queueRequest(RequestCode.GET_MIN_OFFSET, queue));
  }

  /** The first offset whose message was stored at or after the time. */
  async searchOffset(queue: MessageQueue, timestamp: number): Promise<number> {
    return this.#offsetOf(
      queue,
      this.#queueRequest(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, queue, { timestamp }),
    );
  }

  /** CONSUMER_SEND_MSG_BACK: the broker stores the message again, for later or as a dead letter. */
  async sendBack(
    brokerName: string,
    message: Pick<StoredPosition, 'topic' | 'commitLogOffset' | 'offsetMessageId'>,
    { delayLevel, maxReconsumeTimes }: SendBackOptions,
  ): Promise<void> {
    const request: RemotingRequest = {
      code: RequestCode.CONSUMER_SEND_MSG_BACK,
      fields: {
        offset: message.commitLogOffset,
        group: this.#group,
        delayLevel,
        originMsgId: message.offsetMessageId,
        originTopic: message.topic,
        unitMode: false,
        maxReconsumeTimes,
        bname: brokerName,
      },
    };
    await this.#expectSuccess(brokerName, request, `Sending a message of "${message.topic}" back`);
  }

  /** @returns those of the queues that are locked for this client now */
  async lockQueues(brokerName: string, queues: readonly MessageQueue[]): Promise<MessageQueue[]> {
    const request = this.#lockRequest(RequestCode.LOCK_BATCH_MQ, queues);
    const response = await this.#expectSuccess(brokerName, request, 'Locking queues', true);
    const body = parseLenientJson(response.body.toString('utf8')) as { readonly lockOKMQSet?: LenientValue };
    return Array.isArray(body.lockOKMQSet) ? body.lockOKMQSet.map(toMessageQueue) : [];
  }

  async unlockQueues(brokerName: string, queues: readonly MessageQueue[]): Promise<void> {
    const request = this.#lockRequest(RequestCode.UNLOCK_BATCH_MQ, queues);
    await this.#expectSuccess(brokerName, request, 'Unlocking queues', true);
  }

  /**
   * Has the broker compile an SQL92 expression.
   *
   * @throws RocketMQError when it refuses: a syntax error, or filtering by properties is switched off
   */
  async checkSubscription(brokerName: string, subscriptionData: SubscriptionData): Promise<void> {
    const request: RemotingRequest = {
      code: RequestCode.CHECK_CLIENT_CONFIG,
      body: Buffer.from(
        JSON.stringify({ clientId: this.#instance.clientId, group: this.#group, subscriptionData }),
      ),
    };
    await this.#expectSuccess(
      brokerName,
      request,
      `Checking the filter "${subscriptionData.subString}" of topic "${subscriptionData.topic}"`,
    );
  }

  #queueRequest(
    code: number,
    { topic, brokerName, queueId }: MessageQueue,
    fields: Readonly<Record<string, string | number | boolean>> = {},
  ): RemotingRequest {
    return { code, fields: { topic, queueId, bname: brokerName, ...fields } };
  }

  #lockRequest(code: number, mqSet: readonly MessageQueue[]): RemotingRequest {
    const { clientId } = this.#instance;
    return {
      code,
      body: Buffer.from(
        JSON.stringify({ consumerGroup: this.#group, clientId, onlyThisBroker: false, mqSet }),
      ),
    };
  }

  async #offsetOf(queue: MessageQueue, request: RemotingRequest): Promise<number> {
    const { response, address } = await this.#ask(queue.brokerName, request);
    return offsetField(response, address, 'Reading an offset of a queue');
  }

  async #expectSuccess(
    brokerName: string,
    request: RemotingRequest,
    what: string,
    masterOnly = false,
  ): Promise<RemotingCommand> {
    const { response, address } = await this.#ask(brokerName, request, masterOnly);
    if (response.code !== ResponseCode.SUCCESS) throw responseError(what, response, address);
    return response;
  }

  /** The master, or any slave while the master is gone. */
  async #ask(
    brokerName: string,
    request: RemotingRequest,
    masterOnly = false,
  ): Promise<{ response: RemotingCommand; address: string }> {
    const { routes, channels, requestTimeoutMs } = this.#instance;
    const timeoutMs = masterOnly ? Math.min(requestTimeoutMs, LOCK_TIMEOUT_MS) : requestTimeoutMs;
    const address = masterOnly
      ? routes.masterAddress(brokerName)
      : (routes.masterAddress(brokerName) ?? anyAddress(routes.addresses(brokerName)));
    if (address === undefined) {
      throw new RocketMQError(
        'CONNECTION_FAILED',
        `No address of broker "${brokerName}" is known. It comes back by itself once the broker is registered again.`,
        { retryable: true },
      );
    }
    return { response: await channels.invoke(address, request, { timeoutMs }), address };
  }
}

export function anyAddress(addresses: ReadonlyMap<number, string>): string | undefined {
  for (const address of addresses.values()) return address;
  return undefined;
}

function offsetField(response: RemotingCommand, address: string, what: string): number {
  if (response.code !== ResponseCode.SUCCESS) throw responseError(what, response, address);
  const offset = Number(response.fields['offset']);
  if (Number.isSafeInteger(offset)) return offset;
  throw new RocketMQError(
    'PROTOCOL_VIOLATION',
    `${what}: ${address} answered without an offset. Check that it is a RocketMQ broker.`,
  );
}
