import type { ClockTimer } from '../clock.js';
import type { TransactionResolution } from '../producer.js';
import type { BrokerSettings } from './memory-broker-options.js';
import { Property } from './message-properties.js';
import type { MessageStore } from './message-store.js';
import { messageIdOf, type MessageToStore, type StoredMessage } from './stored-message.js';

/** A producer as the broker knows it: whom to ask about half messages. */
export interface TransactionMember {
  /** CHECK_TRANSACTION_STATE. Must not throw. */
  onCheck(half: StoredMessage): void;
}

interface HalfEntry {
  readonly group: string;
  readonly stored: StoredMessage;
  readonly checks: number;
  /** Ended, and not noted yet: a check round may still ask. Wall clock. */
  endedAt: number | undefined;
}

/** Where messages go that nobody answered for. Source: TopicValidator.RMQ_SYS_TRANS_CHECK_MAX_TIME_TOPIC. */
export const GIVEN_UP_TOPIC = 'TRANS_CHECK_MAX_TIME_TOPIC';
/** A real broker finds ended half messages as long as its commit log lives; here so many are remembered. */
const ENDED_KEPT = 1_000;

/**
 * Half messages and the checks for them, as a broker of RocketMQ 5 does it: every check stores the message anew, so
 * that it has another offset. Ending it by an offset of before makes it visible, and leaves the newer copy to be asked
 * about again. (Java: `TransactionalMessageServiceImpl`.)
 */
export class HalfMessages {
  readonly #settings: BrokerSettings;
  readonly #store: MessageStore;
  readonly #producers = new Map<string, TransactionMember[]>();
  /** Waiting for their end, by offset. */
  readonly #open = new Map<number, HalfEntry>();
  /** Ended, or stored anew since, by offset. */
  readonly #past = new Map<number, HalfEntry>();
  #nextOffset = 0;
  #asked = 0;
  #timer: ClockTimer;

  constructor(settings: BrokerSettings, store: MessageStore) {
    this.#settings = settings;
    this.#store = store;
  }

  get openCount(): number {
    return Array.from(this.#open.values()).filter(({ endedAt }) => endedAt === undefined).length;
  }

  register(group: string, member: TransactionMember): void {
    const members = this.#producers.get(group) ?? [];
    if (!members.includes(member)) this.#producers.set(group, [...members, member]);
  }

  unregister(group: string, member: TransactionMember): void {
    const left = (this.#producers.get(group) ?? []).filter((each) => each !== member);
    if (left.length > 0) this.#producers.set(group, left);
    else this.#producers.delete(group);
  }

  /** Stores a half message room was reserved for. */
  add(group: string, message: MessageToStore): StoredMessage {
    const stored = this.#append(group, message, 0);
    this.#arm();
    return stored;
  }

  /**
   * @param offset the queue offset of the copy that is meant
   * @returns whether such a copy is known
   */
  end(group: string, offset: number, resolution: Exclude<TransactionResolution, 'unknown'>): boolean {
    const entry = this.#open.get(offset) ?? this.#past.get(offset);
    if (!entry || entry.group !== group) return false;
    const { topic, queueId, body, properties, bornTimestamp, bornHost } = entry.stored;
    if (resolution === 'commit') {
      const message = { topic, queueId, body, properties, bornTimestamp, bornHost, reconsumeTimes: 0 };
      this.#store.reserve([message]);
      this.#store.append(message);
    }
    entry.endedAt ??= this.#settings.clock.now();
    return true;
  }

  close(): void {
    this.#settings.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#open.clear();
    this.#past.clear();
    this.#producers.clear();
  }

  #append(group: string, message: MessageToStore, checks: number): StoredMessage {
    const stored: StoredMessage = {
      ...message,
      queueOffset: this.#nextOffset++,
      commitLogOffset: this.#store.nextCommitLogOffset(message),
      storeTimestamp: this.#settings.clock.now(),
    };
    this.#open.set(stored.queueOffset, { group, stored, checks, endedAt: undefined });
    return stored;
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#open.size === 0) return;
    const { clock, transactionCheckIntervalMs } = this.#settings;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      this.#checkRound();
      this.#arm();
    }, transactionCheckIntervalMs);
  }

  #checkRound(): void {
    const { clock, transactionTimeoutMs, transactionCheckMax, transactionOpBatchMs } = this.#settings;
    const now = clock.now();
    // Those that are stored anew in this round are for the next one.
    for (const [offset, entry] of Array.from(this.#open)) {
      const isNoted = entry.endedAt !== undefined && now - entry.endedAt >= transactionOpBatchMs;
      if (!isNoted && now - entry.stored.bornTimestamp < transactionTimeoutMs) continue;
      this.#open.delete(offset);
      this.#remember(offset, entry);
      if (isNoted) this.#store.release(entry.stored);
      else if (entry.checks < transactionCheckMax) this.#check(entry);
      else this.#giveUp(entry.stored);
    }
  }

  #check({ group, stored, checks }: HalfEntry): void {
    const check = checks + 1;
    const properties = { ...stored.properties, [Property.CHECK_TIMES]: String(check) };
    const renewed = this.#append(group, { ...stored, properties }, check);
    const messageId = messageIdOf(properties);
    const fault = this.#settings.faults.onCheck?.({ group, topic: stored.topic, messageId, check });
    for (let copy = 0; copy < (fault?.copies ?? 1); copy++) {
      const members = this.#producers.get(group) ?? [];
      members[this.#asked++ % members.length]?.onCheck(renewed);
    }
  }

  #giveUp(stored: StoredMessage): void {
    this.#store.ensureTopic(GIVEN_UP_TOPIC, 1);
    this.#store.append({ ...stored, topic: GIVEN_UP_TOPIC, queueId: 0 });
  }

  #remember(offset: number, entry: HalfEntry): void {
    this.#past.set(offset, entry);
    if (this.#past.size <= ENDED_KEPT) return;
    for (const oldest of this.#past.keys()) {
      this.#past.delete(oldest);
      return;
    }
  }
}
