import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { PullRequest, PullResult } from '../../consumer/consumer-broker.js';
import { queueKey } from '../../consumer/queue-key.js';
import type { ClientInstance } from '../client-instance.js';
import { decodeMessages, type DecodedMessage } from '../protocol/message-decoder.js';
import { PullSysFlag } from '../protocol/pull-sys-flag.js';
import type { RemotingCommand } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { MASTER_ID } from '../protocol/route-data.js';
import { responseError } from '../protocol/response-error.js';
import { expressionTypeOf } from '../protocol/subscription-data.js';

/** Bytes asked for per pull. Source: DefaultMQPushConsumer.pullBatchSizeInBytes. */
const PULL_BATCH_BYTES = 256 * 1024;
/** What a held pull may take longer than the broker was asked to hold it, milliseconds. Source: BROKER_SUSPEND_MAX_TIME_MILLIS and CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND of DefaultMQPushConsumerImpl. */
const ANSWER_GRACE_MS = 15_000;

/** What a broker answered, before the consumer's own part of the filter. */
export type PullAnswer =
  | { readonly status: 'found'; readonly messages: readonly DecodedMessage[]; readonly nextOffset: number }
  | Exclude<PullResult, { status: 'found' }>;

/** Pulls messages and remembers from which broker of a master and its slaves. (Java: `PullAPIWrapper`.) */
export class PullRequests {
  readonly #instance: ClientInstance;
  readonly #group: string;
  /** Broker id suggested by the last answer, by broker name and queue. */
  readonly #pullFrom = new Map<string, number>();

  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance;
    this.#group = group;
  }

  /**
   * @throws RocketMQError the request failed; where the next one goes has been reconsidered
   */
  async pull(request: PullRequest): Promise<PullAnswer> {
    const { queue, subscription, suspendMs, commitOffset } = request;
    const key = queueKey(queue);
    const { address, brokerId } = this.#target(key, queue.brokerName);
    // Slaves do not keep offsets.
    const commit = brokerId === MASTER_ID && commitOffset !== undefined && commitOffset > 0;
    let response: RemotingCommand;
    try {
      response = await this.#instance.channels.invoke(
        address,
        {
          code: RequestCode.PULL_MESSAGE,
          fields: {
            consumerGroup: this.#group,
            topic: queue.topic,
            queueId: queue.queueId,
            queueOffset: request.offset,
            maxMsgNums: request.maxMessages,
            sysFlag:
              (commit ? PullSysFlag.COMMIT_OFFSET : 0) |
              (suspendMs > 0 ? PullSysFlag.SUSPEND : 0) |
              (request.postSubscription ? PullSysFlag.SUBSCRIPTION : 0),
            commitOffset: commit ? commitOffset : 0,
            suspendTimeoutMillis: suspendMs,
            subscription: request.postSubscription ? subscription.expression : undefined,
            subVersion: subscription.version,
            expressionType: expressionTypeOf(subscription.type),
            maxMsgBytes: PULL_BATCH_BYTES,
            bname: queue.brokerName,
          },
        },
        { timeoutMs: suspendMs + ANSWER_GRACE_MS, signal: request.signal },
      );
    } catch (error) {
      this.#tryAnother(key, queue.brokerName, brokerId);
      throw error;
    }
    return this.#read(key, response, address);
  }

  forget(queue: MessageQueue): void {
    this.#pullFrom.delete(queueKey(queue));
  }

  #read(key: string, response: RemotingCommand, address: string): PullAnswer {
    const { code, fields, body } = response;
    const nextOffset = Number(fields['nextBeginOffset']);
    const known =
      code === ResponseCode.SUCCESS ||
      code === ResponseCode.PULL_NOT_FOUND ||
      code === ResponseCode.PULL_RETRY_IMMEDIATELY ||
      code === ResponseCode.PULL_OFFSET_MOVED;
    if (!known) {
      this.#pullFrom.delete(key);
      throw responseError('Pulling messages', response, address);
    }
    if (!Number.isSafeInteger(nextOffset)) {
      throw new RocketMQError(
        'PROTOCOL_VIOLATION',
        `${address} answered a pull without the offset to continue at. Check that it is a RocketMQ broker.`,
        { retryable: true },
      );
    }
    const suggested = Number(fields['suggestWhichBrokerId'] ?? MASTER_ID);
    if (suggested === MASTER_ID) this.#pullFrom.delete(key);
    else this.#pullFrom.set(key, suggested);
    switch (code) {
      case ResponseCode.SUCCESS:
        return { status: 'found', messages: decodeMessages(body), nextOffset };
      case ResponseCode.PULL_OFFSET_MOVED:
        return { status: 'offset-moved', nextOffset, minOffset: Number(fields['minOffset'] ?? 0) };
      default:
        return { status: 'nothing', nextOffset };
    }
  }

  #target(key: string, brokerName: string): { address: string; brokerId: number } {
    const addresses = this.#instance.routes.addresses(brokerName);
    const wanted = this.#pullFrom.get(key) ?? MASTER_ID;
    const address = addresses.get(wanted);
    if (address !== undefined) return { address, brokerId: wanted };
    for (const [brokerId, other] of addresses) return { address: other, brokerId };
    throw new RocketMQError(
      'CONNECTION_FAILED',
      `No address of broker "${brokerName}" is known. Pulling goes on by itself once the broker is registered again.`,
      { retryable: true },
    );
  }

  /** A master that does not answer may have a slave that does, and the other way round. */
  #tryAnother(key: string, brokerName: string, failedId: number): void {
    const ids = [...this.#instance.routes.addresses(brokerName).keys()].sort((a, b) => a - b);
    const next = ids[(ids.indexOf(failedId) + 1) % ids.length];
    if (next === undefined || next === MASTER_ID) this.#pullFrom.delete(key);
    else this.#pullFrom.set(key, next);
  }
}
