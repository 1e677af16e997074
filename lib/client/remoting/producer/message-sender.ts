import type { MessageQueue } from '../../../message/message.js';
import { RocketMQError, type RocketMQErrorCode } from '../../../message/rocketmq-error.js';
import { BrokerError } from '../../broker-error.js';
import { pause } from '../../clock.js';
import type { NotFullyStoredPolicy } from '../../producer.js';
import type { SendStatus } from '../../send.js';
import type { ClientInstance } from '../client-instance.js';
import { MessageSysFlag } from '../protocol/message-sys-flag.js';
import type { RemotingCommand } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { AUTO_CREATE_TOPIC } from '../protocol/route-data.js';
import { DEFAULT_TOPIC_QUEUE_NUMS } from '../route/topic-publish-info.js';
import type { MQFaultStrategy } from './mq-fault-strategy.js';
import type { PublishTopic, PublishTopics } from './publish-topics.js';
import { isRetriedElsewhere, sendError } from './send-error.js';
import { withinDeadline } from './within-deadline.js';

/** Before the same broker is tried again: it needs a moment, or its address changes. Grows with every attempt. */
const SAME_BROKER_PAUSE_MS = 50;

/** What goes to a broker, whatever its kind; encoded once for all attempts. */
export interface Packet {
  /** As the application knows it. */
  readonly topic: string;
  readonly body: Buffer;
  readonly sysFlag: number;
  /** Encoded. */
  readonly properties: string;
  readonly bornTimestamp: number;
  /** A body made by `encodeBatch`. */
  readonly batch?: boolean;
  /** Goes on to the producer that asked. */
  readonly reply?: boolean;
  /** The application's flag of a message that is passed on. */
  readonly flag?: number;
  readonly reconsumeTimes?: number;
  readonly maxReconsumeTimes?: number;
}

/** Where and how long to try. */
export interface SendTarget {
  /** This queue and no other; otherwise the next ones in turn. */
  readonly queue?: MessageQueue | undefined;
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly maxAttempts: number;
  readonly signal?: AbortSignal | undefined;
}

/** A broker stored it. */
export interface Delivery {
  /** As brokers know the topic. */
  readonly queue: MessageQueue;
  readonly status: SendStatus;
  /** (Java: `SendMessageResponseHeader`.) */
  readonly fields: Readonly<Record<string, string>>;
}

const STATUS: ReadonlyMap<number, SendStatus> = new Map([
  [ResponseCode.SUCCESS, 'SEND_OK'],
  [ResponseCode.FLUSH_DISK_TIMEOUT, 'FLUSH_DISK_TIMEOUT'],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, 'FLUSH_SLAVE_TIMEOUT'],
  [ResponseCode.SLAVE_NOT_AVAILABLE, 'SLAVE_NOT_AVAILABLE'],
]);

/**
 * Brings a packet to a broker: picks the queue, and on failure another broker, within one deadline.
 * (Java: `DefaultMQProducerImpl.sendDefaultImpl`, `sendKernelImpl`.)
 */
export class MessageSender {
  readonly #instance: ClientInstance;
  readonly #group: string;
  readonly #topics: PublishTopics;
  readonly #faults: MQFaultStrategy;
  readonly #onNotFullyStored: NotFullyStoredPolicy;

  /** @param group as brokers know it */
  constructor(
    instance: ClientInstance,
    group: string,
    topics: PublishTopics,
    faults: MQFaultStrategy,
    onNotFullyStored: NotFullyStoredPolicy,
  ) {
    this.#instance = instance;
    this.#group = group;
    this.#topics = topics;
    this.#faults = faults;
    this.#onNotFullyStored = onNotFullyStored;
  }

  /** @throws RocketMQError of the last attempt */
  async send(packet: Packet, target: SendTarget): Promise<Delivery> {
    const { clock } = this.#instance;
    const attempts = target.queue === undefined ? target.maxAttempts : 1;
    // A second copy of a half message would be asked about when the first is settled already.
    const prepared = (packet.sysFlag & MessageSysFlag.TRANSACTION_PREPARED_TYPE) !== 0;
    const again = this.#onNotFullyStored === 'retry' && !prepared;
    let lastBroker: string | undefined;
    let lastError: unknown;
    let stored: Delivery | undefined;
    for (let attempt = 1; ; attempt++) {
      const topic = this.#topics.known(packet.topic) ?? (await this.topic(packet.topic, target));
      const queue = target.queue ?? topic.nextQueue(this.#faults, lastBroker);
      if (queue.brokerName === lastBroker) {
        await pause(clock, SAME_BROKER_PAUSE_MS * (attempt - 1), target.signal);
        if (clock.monotonic() >= target.deadline && lastError !== undefined) throw lastError;
      }
      try {
        // No async function of its own: every promise less counts here.
        const startedAt = clock.monotonic();
        const address = this.#address(queue, packet.topic);
        const response = await this.#invoke(address, packet, topic.name, queue, target, startedAt);
        const delivery = this.#delivered(response, address, packet, queue, startedAt);
        if (delivery.status === 'SEND_OK' || !again) return this.#judged(delivery, packet);
        stored = delivery;
        if (attempt >= attempts) return delivery;
      } catch (error) {
        this.#noteFailure(error, topic, queue);
        if (attempt >= attempts || !this.#isWorthAnother(error, target)) {
          // An earlier attempt stored it, if not as safely as it should be: that is better than an error.
          if (stored) return stored;
          throw error;
        }
        this.#instance.log(
          'debug',
          `Attempt ${attempt} to send to "${packet.topic}" failed, next one.`,
          error,
        );
        lastError = error;
      }
      lastBroker = queue.brokerName;
    }
  }

  /**
   * Hands it to the socket of a broker and hears nothing more of it.
   * @throws RocketMQError when there is no broker or no connection
   */
  async sendOneWay(packet: Packet, target: SendTarget): Promise<void> {
    const topic = this.#topics.known(packet.topic) ?? (await this.topic(packet.topic, target));
    const queue = target.queue ?? topic.nextQueue(this.#faults);
    const address = this.#address(queue, packet.topic);
    await this.#instance.channels.invokeOneWay(address, this.#request(packet, topic.name, queue));
  }

  /** @throws RocketMQError `TOPIC_NOT_FOUND`, `NO_WRITABLE_QUEUE`, `TIMEOUT`, `ABORTED` */
  async topic(name: string, target: Pick<SendTarget, 'deadline' | 'signal'>): Promise<PublishTopic> {
    return (
      this.#topics.known(name) ??
      withinDeadline(
        this.#topics.load(name),
        target,
        this.#instance.clock,
        `Looking up the brokers of "${name}"`,
      )
    );
  }

  #invoke(
    address: string,
    packet: Packet,
    topicName: string,
    queue: MessageQueue,
    { deadline, signal }: SendTarget,
    startedAt: number,
  ): Promise<RemotingCommand> {
    const timeoutMs = deadline - startedAt;
    if (timeoutMs <= 0) throw tooLate(packet.topic);
    const request = this.#request(packet, topicName, queue);
    return this.#instance.channels.invoke(address, request, { timeoutMs, signal });
  }

  /** @throws RocketMQError when the broker did not store it */
  #delivered(
    response: RemotingCommand,
    address: string,
    packet: Packet,
    queue: MessageQueue,
    startedAt: number,
  ): Delivery {
    const status = STATUS.get(response.code);
    if (status === undefined) throw this.#refusal(response, address, packet, queue);
    const latencyMs = this.#faults.latencyAware ? this.#instance.clock.monotonic() - startedAt : 0;
    this.#faults.answered(queue.brokerName, latencyMs);
    return { queue, status, fields: response.fields };
  }

  #request(
    packet: Packet,
    topicName: string,
    queue: MessageQueue,
  ): Parameters<ClientInstance['channels']['invoke']>[1] {
    return {
      code: requestCode(packet),
      // Java: SendMessageRequestHeaderV2.
      fields: {
        a: this.#group,
        b: topicName,
        c: AUTO_CREATE_TOPIC,
        d: DEFAULT_TOPIC_QUEUE_NUMS,
        e: queue.queueId,
        f: packet.sysFlag,
        g: packet.bornTimestamp,
        h: packet.flag ?? 0,
        i: packet.properties,
        j: packet.reconsumeTimes,
        l: packet.maxReconsumeTimes,
        m: packet.batch,
        n: queue.brokerName,
      },
      body: packet.body,
    };
  }

  #address(queue: MessageQueue, topic: string): string {
    const address = this.#instance.routes.masterAddress(queue.brokerName);
    if (address !== undefined) return address;
    throw new RocketMQError(
      'NO_WRITABLE_QUEUE',
      `Broker "${queue.brokerName}" of topic "${topic}" has no master now. Check that it runs and is registered at the name server.`,
      { retryable: true },
    );
  }

  #refusal(response: RemotingCommand, address: string, packet: Packet, queue: MessageQueue): RocketMQError {
    const error = sendError(response, address, packet.topic);
    if (isRetriedElsewhere(response.code)) this.#faults.refused(queue.brokerName);
    return error;
  }

  /** For this and later sends: which broker to pass over, and that the route may have changed. */
  #noteFailure(error: unknown, topic: PublishTopic, queue: MessageQueue): void {
    if (!(error instanceof RocketMQError)) return;
    if (error.code === 'CONNECTION_FAILED' || error.code === 'TIMEOUT') {
      this.#faults.unreachable(queue.brokerName);
    }
    if (ROUTE_MAY_HAVE_CHANGED.has(error.code)) this.#topics.lookAgain(topic);
  }

  #isWorthAnother(error: unknown, { deadline, signal }: SendTarget): boolean {
    if (!(error instanceof RocketMQError)) return false;
    const another =
      error instanceof BrokerError ? isRetriedElsewhere(error.responseCode) : RETRIED_ERRORS.has(error.code);
    return another && signal?.aborted !== true && this.#instance.clock.monotonic() < deadline;
  }

  #judged(delivery: Delivery, packet: Packet): Delivery {
    if (delivery.status === 'SEND_OK' || this.#onNotFullyStored !== 'throw') return delivery;
    throw new RocketMQError(
      'NOT_FULLY_STORED',
      `The message for "${packet.topic}" is stored on the master of "${delivery.queue.brokerName}", but the broker reports ${delivery.status}. ${MEANING[delivery.status]} Consumers will get it; sending again makes a duplicate with the same message id.`,
      { retryable: true },
    );
  }
}

/** Failures that say something about a connection or a broker, not about the message. */
const RETRIED_ERRORS: ReadonlySet<RocketMQErrorCode> = new Set<RocketMQErrorCode>([
  'CONNECTION_FAILED',
  'NO_WRITABLE_QUEUE',
  'PROTOCOL_VIOLATION',
]);

const ROUTE_MAY_HAVE_CHANGED: ReadonlySet<RocketMQErrorCode> = new Set<RocketMQErrorCode>([
  'CONNECTION_FAILED',
  'NO_WRITABLE_QUEUE',
  'TOPIC_NOT_FOUND',
]);

const MEANING: Readonly<Record<Exclude<SendStatus, 'SEND_OK'>, string>> = {
  FLUSH_DISK_TIMEOUT: 'It was not on the disk in time (SYNC_FLUSH): a crash of the machine may lose it.',
  FLUSH_SLAVE_TIMEOUT:
    'The slave did not confirm it in time (SYNC_MASTER): the loss of the master may lose it.',
  SLAVE_NOT_AVAILABLE: 'No slave was there to confirm it (SYNC_MASTER): the loss of the master may lose it.',
};

function requestCode({ batch, reply }: Packet): number {
  if (reply === true) return RequestCode.SEND_REPLY_MESSAGE_V2;
  return batch === true ? RequestCode.SEND_BATCH_MESSAGE : RequestCode.SEND_MESSAGE_V2;
}

function tooLate(topic: string): RocketMQError {
  return new RocketMQError(
    'TIMEOUT',
    `Sending to "${topic}" was not done before its deadline. Send again, or raise sendTimeoutMs.`,
    { retryable: true },
  );
}
