import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { HalfMessage } from '../../producer.js';
import type { SendReceipt } from '../../send.js';
import type { ClientInstance } from '../client-instance.js';
import { endTransaction, endTransactionRequest, type HalfPosition } from './end-transaction.js';
import { RecentlyEnded } from './recently-ended.js';
import { commitLogOffsetOf } from './send-receipt.js';

/** After so long the broker has given up a half message, whatever its settings: its place need not be kept. */
const FORGET_AFTER_MS = 24 * 60 * 60 * 1000;

interface OpenHalf {
  readonly brokerName: string;
  readonly sentAt: number;
  position: HalfPosition;
  /** The broker is being told the outcome. */
  ending: boolean;
}

/** The half messages of a producer whose end is open, and where each lies after the latest check. */
export class HalfMessages {
  readonly #instance: ClientInstance;
  readonly #group: string;
  /** By message id, oldest first. */
  readonly #open = new Map<string, OpenHalf>();
  readonly #ended: RecentlyEnded;

  /** @param group as brokers know it */
  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance;
    this.#group = group;
    this.#ended = new RecentlyEnded(instance.clock);
  }

  /** A half message was stored. */
  add(receipt: SendReceipt): HalfMessage {
    this.#forgetOld();
    const half: OpenHalf = {
      brokerName: receipt.brokerName,
      sentAt: this.#instance.clock.monotonic(),
      position: { commitLogOffset: commitLogOffsetOf(receipt), tranStateTableOffset: receipt.queueOffset },
      ending: false,
    };
    this.#open.set(receipt.messageId, half);
    let ended: 'commit' | 'rollback' | undefined;
    const end = async (resolution: 'commit' | 'rollback'): Promise<void> => {
      if (ended === resolution) return;
      if (ended !== undefined) {
        throw new RocketMQError(
          'INVALID_ARGUMENT',
          `Half message ${receipt.messageId} has ended with ${ended}. A transaction ends once; correct the order of the calls.`,
        );
      }
      half.ending = true;
      try {
        await this.#end(receipt, half, resolution);
      } finally {
        half.ending = false;
      }
      ended = resolution;
      this.settled(receipt.messageId, half.brokerName);
    };
    return { receipt, commit: () => end('commit'), rollback: () => end('rollback') };
  }

  /** A check tells where the half message lies from now on. */
  moved(messageId: string, brokerName: string | undefined, position: HalfPosition): void {
    const half = this.#open.get(messageId);
    // A resend may have left a second half message of this id on another broker.
    if (half && (brokerName === undefined || brokerName === half.brokerName)) half.position = position;
  }

  /** A broker has confirmed the outcome, told by commit, rollback, or the answer to a check. */
  settled(messageId: string, brokerName: string | undefined): void {
    this.#ended.add(messageId, brokerName);
    if (this.#open.get(messageId)?.brokerName === brokerName) this.#open.delete(messageId);
  }

  /** Whether the broker knows the outcome or is about to hear it, so that its question needs no answer. */
  needsNoAnswer(messageId: string, brokerName: string | undefined): boolean {
    const half = this.#open.get(messageId);
    if (half?.ending && half.brokerName === brokerName) return true;
    return this.#ended.has(messageId, brokerName);
  }

  async #end(receipt: SendReceipt, half: OpenHalf, resolution: 'commit' | 'rollback'): Promise<void> {
    const { routes, namespace } = this.#instance;
    const what = `The ${resolution} of half message ${receipt.messageId}`;
    const address = routes.masterAddress(half.brokerName);
    if (address === undefined) {
      throw new RocketMQError(
        'CONNECTION_FAILED',
        `${what} has no broker to go to: "${half.brokerName}" has no master now. The broker asks for the outcome when it is back.`,
        { retryable: true },
      );
    }
    const identity = {
      topic: namespace.wrap(receipt.topic),
      brokerName: half.brokerName,
      messageId: receipt.messageId,
      transactionId: receipt.transactionId ?? receipt.messageId,
    };
    const request = endTransactionRequest(this.#group, identity, half.position, resolution, false);
    await endTransaction(this.#instance, address, request, what);
  }

  #forgetOld(): void {
    const before = this.#instance.clock.monotonic() - FORGET_AFTER_MS;
    for (const [messageId, { sentAt }] of this.#open) {
      if (sentAt > before) return;
      this.#open.delete(messageId);
    }
  }
}
