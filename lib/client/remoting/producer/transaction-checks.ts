import type { ReceivedMessage } from '../../../message/message.js';
import type { TransactionCheck, TransactionResolution } from '../../producer.js';
import type { ClientInstance } from '../client-instance.js';
import type { TransactionCheckRequest } from '../producer-member.js';
import { PropertyName } from '../protocol/property-name.js';
import { toReceivedMessage } from '../protocol/received-message.js';
import type { StoredMessage } from '../protocol/stored-message.js';
import {
  endTransaction,
  endTransactionRequest,
  type HalfIdentity,
  type HalfPosition,
} from './end-transaction.js';
import type { HalfMessages } from './half-messages.js';

/** Checks at work at the same time. (Java: one, `checkThreadPoolMaxSize`; a check here is mostly waiting for a database.) */
const MAX_RUNNING = 16;
/** Checks kept until there is room. (Java: `checkRequestHoldMax`.) */
const MAX_WAITING = 2_000;

/** One half message the broker asks about, whatever the number of its questions. */
interface OpenCheck {
  readonly stored: StoredMessage;
  readonly address: string;
  readonly half: HalfIdentity;
  position: HalfPosition;
}

/** Answers the brokers' questions about half messages. (Java: `DefaultMQProducerImpl.checkTransactionState`.) */
export class TransactionChecks {
  readonly #instance: ClientInstance;
  readonly #group: string;
  readonly #halfMessages: HalfMessages;
  /** By message id and address: waiting or at work. */
  readonly #open = new Map<string, OpenCheck>();
  #waiting: OpenCheck[] = [];
  #running = 0;
  #idle: (() => void)[] = [];
  #closed = false;
  #check: TransactionCheck | undefined;

  /** @param group as brokers know it */
  constructor(instance: ClientInstance, group: string, halfMessages: HalfMessages) {
    this.#instance = instance;
    this.#group = group;
    this.#halfMessages = halfMessages;
  }

  get hasCheck(): boolean {
    return this.#check !== undefined;
  }

  setCheck(check: TransactionCheck): void {
    this.#check = check;
  }

  /** Never throws. What is not answered now, the broker asks again, here or at another producer of the group. */
  onCheck(request: TransactionCheckRequest): void {
    const check = this.#describe(request);
    const { half, position } = check;
    this.#halfMessages.moved(half.messageId, half.brokerName, position);
    if (this.#halfMessages.needsNoAnswer(half.messageId, half.brokerName)) return;
    if (this.#closed || this.#check === undefined) {
      this.#instance.log(
        'debug',
        `Half message ${half.messageId} is not looked into: ${this.#closed ? 'stopping' : 'starting'}.`,
      );
      return;
    }
    const key = `${half.messageId}@${check.address}`;
    const open = this.#open.get(key);
    if (open) {
      // Asked again meanwhile: the answer must name the latest place.
      open.position = position;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      this.#instance.log(
        'warn',
        `${MAX_WAITING} transaction checks of group "${this.#group}" are waiting; one is dropped, the broker asks again. Make the check faster.`,
      );
      return;
    }
    this.#open.set(key, check);
    this.#waiting.push(check);
    this.#next();
  }

  /** New questions are left to others; resolves when the checks at work have answered. */
  close(): Promise<void> {
    this.#closed = true;
    for (const check of this.#waiting.splice(0)) this.#open.delete(keyOf(check));
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #next(): void {
    while (this.#running < MAX_RUNNING) {
      const check = this.#waiting.shift();
      if (!check) return;
      this.#running++;
      void this.#run(check).finally(() => {
        this.#running--;
        this.#open.delete(keyOf(check));
        this.#next();
        if (this.#running === 0) for (const idle of this.#idle.splice(0)) idle();
      });
    }
  }

  async #run(check: OpenCheck): Promise<void> {
    const { half, address } = check;
    const resolution = await this.#resolve(check);
    const request = endTransactionRequest(this.#group, half, check.position, resolution, true);
    try {
      if (resolution === 'unknown') {
        // Brokers do not answer this one.
        await this.#instance.channels.invokeOneWay(address, request);
      } else {
        await endTransaction(
          this.#instance,
          address,
          request,
          `The ${resolution} of half message ${half.messageId} after a check`,
        );
        this.#halfMessages.settled(half.messageId, half.brokerName);
      }
    } catch (error) {
      this.#instance.log(
        'warn',
        `The answer "${resolution}" for half message ${half.messageId} did not reach ${address}. The broker asks again.`,
        error,
      );
    }
  }

  async #resolve({ stored, half }: OpenCheck): Promise<TransactionResolution> {
    try {
      const answer = await this.#check?.(this.#toMessage(stored, half));
      if (answer === 'commit' || answer === 'rollback' || answer === 'unknown') return answer;
      this.#instance.log(
        'error',
        `The transaction check of group "${this.#group}" answered ${JSON.stringify(answer)} for ${half.messageId}; that counts as "unknown". Answer "commit", "rollback" or "unknown".`,
      );
    } catch (error) {
      this.#instance.log(
        'warn',
        `The transaction check of group "${this.#group}" failed for ${half.messageId}; that counts as "unknown" and the broker asks again. Look at the error.`,
        error,
      );
    }
    return 'unknown';
  }

  /** As the producer sent it, not as it lies in the half topic. */
  #toMessage(stored: StoredMessage, half: HalfIdentity): ReceivedMessage {
    return {
      ...toReceivedMessage(stored, half.brokerName ?? ''),
      topic: this.#instance.namespace.unwrap(half.topic),
      queueId: Number(stored.properties[PropertyName.REAL_QUEUE_ID] ?? stored.queueId),
      transactionId: half.transactionId,
    };
  }

  #describe({ command: { fields }, stored, address }: TransactionCheckRequest): OpenCheck {
    const { properties } = stored;
    const messageId =
      properties[PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX] ?? fields['msgId'] ?? stored.offsetMessageId;
    return {
      stored,
      address,
      half: {
        topic: properties[PropertyName.REAL_TOPIC] ?? stored.topic,
        brokerName: fields['bname'] ?? this.#instance.brokerNameOf(address),
        messageId,
        transactionId: fields['transactionId'] ?? properties[PropertyName.TRANSACTION_ID] ?? messageId,
      },
      position: {
        commitLogOffset: Number(fields['commitLogOffset'] ?? stored.commitLogOffset),
        tranStateTableOffset: Number(fields['tranStateTableOffset'] ?? stored.queueOffset),
      },
    };
  }
}

function keyOf({ half, address }: OpenCheck): string {
  return `${half.messageId}@${address}`;
}
