import { Answer, refusal } from './broker-answer.js';
import type { BrokerSettings } from './memory-broker-options.js';
import { Property, withoutProperties } from './message-properties.js';
import type { MessageStore } from './message-store.js';
import { messageIdOf, type MessageToStore } from './stored-message.js';
import { Timeline } from './timeline.js';

interface Delayed {
  readonly message: MessageToStore;
  /** Its place among the delayed messages; receipts carry it. */
  readonly offset: number;
}

/** What `recall` needs to know, opaque to callers. */
interface RecallHandle {
  readonly topic: string;
  readonly messageId: string;
  readonly dueAt: number;
}

/** Messages that wait for their time: delay levels and timers. */
export class DelayedMessages {
  readonly #settings: BrokerSettings;
  readonly #store: MessageStore;
  readonly #timeline: Timeline<Delayed>;
  #nextOffset = 0;

  constructor(settings: BrokerSettings, store: MessageStore) {
    this.#settings = settings;
    this.#store = store;
    this.#timeline = new Timeline(settings.clock, ({ message }) => void store.append(message));
  }

  get size(): number {
    return this.#timeline.size;
  }

  /**
   * When the message is to become visible; undefined: now. A level wins over a timer, as with a real broker.
   *
   * @throws BrokerError `BROKER_REJECTED` for a timer too far away
   */
  dueAt({ topic, properties }: Pick<MessageToStore, 'topic' | 'properties'>): number | undefined {
    const { clock, delayLevels, maxTimerDelayMs } = this.#settings;
    const now = clock.now();
    const level = properties[Property.DELAY_LEVEL];
    if (level !== undefined) {
      const index = Math.min(Number(level), delayLevels.length) - 1;
      return now + (delayLevels[index] ?? 0);
    }
    const after = properties[Property.TIMER_DELAY_MS];
    const at = properties[Property.TIMER_DELIVER_MS];
    if (after === undefined && at === undefined) return undefined;
    const dueAt = after === undefined ? Number(at) : now + Number(after);
    if (dueAt - now > maxTimerDelayMs) {
      throw refusal(
        'BROKER_REJECTED',
        Answer.MESSAGE_ILLEGAL,
        `A message for "${topic}" is to wait ${dueAt - now} ms; the in-process broker allows ${maxTimerDelayMs}. Choose an earlier time, or raise maxTimerDelayMs.`,
      );
    }
    return dueAt > now ? dueAt : undefined;
  }

  /** Keeps a message room was reserved for until its time. Returns its offset. */
  add(message: MessageToStore, dueAt: number): number {
    const { DELAY_LEVEL, TIMER_DELAY_MS, TIMER_DELIVER_MS } = Property;
    const properties = withoutProperties(message.properties, DELAY_LEVEL, TIMER_DELAY_MS, TIMER_DELIVER_MS);
    const offset = this.#nextOffset++;
    this.#timeline.add(dueAt, { message: { ...message, properties }, offset });
    return offset;
  }

  /** Only timers can be recalled; a level has no handle. */
  recallHandle(message: MessageToStore, dueAt: number): string | undefined {
    if (message.properties[Property.DELAY_LEVEL] !== undefined) return undefined;
    const handle: RecallHandle = { topic: message.topic, messageId: messageIdOf(message.properties), dueAt };
    return Buffer.from(JSON.stringify(handle)).toString('base64url');
  }

  /**
   * Takes a message back.
   *
   * @returns its unique key, also when it is not there (any more)
   * @throws BrokerError `BROKER_REJECTED` when the handle is not for this topic, or its time has come
   */
  recall(topic: string, text: string): string {
    const handle = decodeHandle(text);
    if (handle?.topic !== topic) {
      throw refusal(
        'BROKER_REJECTED',
        Answer.ILLEGAL_OPERATION,
        `The recall handle is not one for topic "${topic}". Pass the recallHandle and topic of the receipt as they are.`,
      );
    }
    if (handle.dueAt <= this.#settings.clock.now()) {
      throw refusal(
        'BROKER_REJECTED',
        Answer.ILLEGAL_OPERATION,
        `The message ${handle.messageId} was due already and cannot be recalled. Undo its effect instead.`,
      );
    }
    const found = this.#timeline.remove(
      ({ message }) => message.topic === topic && messageIdOf(message.properties) === handle.messageId,
    );
    if (found) this.#store.release(found.message);
    return handle.messageId;
  }

  close(): void {
    this.#timeline.clear();
  }
}

function decodeHandle(text: string): RecallHandle | undefined {
  try {
    const handle: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return typeof handle === 'object' && handle !== null ? (handle as RecallHandle) : undefined;
  } catch {
    // Not one of ours: the caller of decodeHandle refuses it.
    return undefined;
  }
}
