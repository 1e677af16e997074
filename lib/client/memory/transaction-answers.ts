import { RocketMQError } from '../../message/rocketmq-error.js';
import type { TransactionCheck, TransactionResolution } from '../producer.js';
import type { SendReceipt } from '../send.js';
import type { TransactionMember } from './half-messages.js';
import type { MemoryClientContext } from './memory-client-context.js';
import { OpenHalfMessage } from './open-half-message.js';
import { messageIdOf, toReceivedMessage, type StoredMessage } from './stored-message.js';

/** Answers kept open at a time; what is asked beyond, the broker asks again. */
const MAX_OPEN = 2_000;

/** The transactional side of a producer: its open half messages, and the broker's questions about those of its group. */
export class TransactionAnswers implements TransactionMember {
  /** As the broker knows it. */
  readonly group: string;
  readonly #context: MemoryClientContext;
  /** Sent here and not ended, by unique key. */
  readonly #open = new Map<string, OpenHalfMessage>();
  /** Being looked into; the offset of the latest question, by unique key. */
  readonly #asked = new Map<string, number>();
  readonly #idle = new Set<() => void>();
  #check: TransactionCheck | undefined;

  constructor(context: MemoryClientContext, group: string) {
    this.#context = context;
    this.group = group;
  }

  register(): void {
    this.#context.broker.halfMessages.register(this.group, this);
  }

  unregister(): void {
    this.#context.broker.halfMessages.unregister(this.group, this);
  }

  setCheck(check: TransactionCheck): void {
    this.#check = check;
  }

  /** @throws RocketMQError `INVALID_CONFIGURATION` */
  assertCheck(): void {
    if (this.#check) return;
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `Producer group "${this.#context.namespace.unwrap(this.group)}" has no transaction check. Call setTransactionCheck before the first half message.`,
    );
  }

  open(receipt: SendReceipt): OpenHalfMessage {
    const half = new OpenHalfMessage(receipt, receipt.queueOffset, async (offset, resolution) => {
      await this.#end(receipt.messageId, offset, resolution);
      this.#open.delete(receipt.messageId);
    });
    this.#open.set(receipt.messageId, half);
    if (this.#open.size > MAX_OPEN) this.#open.delete(this.#open.keys().next().value!);
    return half;
  }

  onCheck(half: StoredMessage): void {
    const messageId = messageIdOf(half.properties);
    this.#open.get(messageId)?.moved(half.queueOffset);
    const askedBefore = this.#asked.has(messageId);
    if (!this.#check || (!askedBefore && this.#asked.size >= MAX_OPEN)) return;
    this.#asked.set(messageId, half.queueOffset);
    if (!askedBefore) void this.#answer(messageId, half, this.#check);
  }

  /** Resolves when every question that was taken up is answered. */
  whenIdle(): Promise<void> {
    if (this.#asked.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }

  async #answer(messageId: string, half: StoredMessage, check: TransactionCheck): Promise<void> {
    const resolution = await this.#resolve(messageId, half, check);
    // Asked again meanwhile: the answer names the latest copy.
    const offset = this.#asked.get(messageId) ?? half.queueOffset;
    try {
      if (resolution !== 'unknown') {
        await this.#end(messageId, offset, resolution);
        this.#open.delete(messageId);
      }
    } catch (error) {
      this.#context.log(
        'warn',
        `The answer "${resolution}" for half message ${messageId} was lost. The broker asks again.`,
        error,
      );
    }
    this.#asked.delete(messageId);
    if (this.#asked.size > 0) return;
    for (const idle of this.#idle) idle();
    this.#idle.clear();
  }

  async #resolve(
    messageId: string,
    half: StoredMessage,
    check: TransactionCheck,
  ): Promise<TransactionResolution> {
    const { broker, namespace, log } = this.#context;
    const message = toReceivedMessage(half, broker.name, (topic) => namespace.unwrap(topic));
    try {
      const answer = await check(message);
      if (answer === 'commit' || answer === 'rollback' || answer === 'unknown') return answer;
      log(
        'error',
        `The transaction check of group "${this.group}" answered ${JSON.stringify(answer)} for ${messageId}; that counts as "unknown". Answer "commit", "rollback" or "unknown".`,
      );
    } catch (error) {
      log(
        'warn',
        `The transaction check of group "${this.group}" failed for ${messageId}; that counts as "unknown" and the broker asks again. Look at the error.`,
        error,
      );
    }
    return 'unknown';
  }

  #end(messageId: string, offset: number, resolution: 'commit' | 'rollback'): Promise<void> {
    const { broker, connection, requestTimeoutMs } = this.#context;
    return connection.request(
      { kind: 'end-transaction', group: this.group, messageIds: [messageId] },
      () => void broker.halfMessages.end(this.group, offset, resolution),
      { timeoutMs: requestTimeoutMs },
    );
  }
}
