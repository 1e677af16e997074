import { RocketMQError } from '../../message/rocketmq-error.js';
import { Answer, refusal } from './broker-answer.js';
import type { BrokerSettings } from './memory-broker-options.js';
import { Property } from './message-properties.js';
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
   * @throws BrokerError `INVALID_ARGUMENT` for a timer too far away
   */
  dueAt({ topic, properties }: Pick<MessageToStore, 'topic' | 'properties'>): number | undefined {
    const { clock, delayLevels, maxTimerDelayMs } = this.#settings;
    const now = clock.now();
    const level = Number(properties[Property.DELAY_LEVEL] ?? 0);
    if (level > 0) return now + (delayLevels[Math.min(level, delayLevels.length) - 1] ?? 0);
    // A timer that ran off before, now sent back by a consumer.
    if (properties[Property.TIMER_OUT_MS] !== undefined) return undefined;
    const after = properties[Property.TIMER_DELAY_MS];
    const at = properties[Property.TIMER_DELIVER_MS];
    if (after === undefined && at === undefined) return undefined;
    const dueAt = after === undefined ? Number(at) : now + Number(after);
    if (dueAt - now > maxTimerDelayMs) {
      throw refusal(
        'INVALID_ARGUMENT',
        Answer.MESSAGE_ILLEGAL,
        `A message for "${topic}" is to wait ${dueAt - now} ms; the in-process broker allows ${maxTimerDelayMs}. Choose an earlier time, or raise maxTimerDelayMs.`,
      );
    }
    return dueAt > now ? dueAt : undefined;
  }

  /** Keeps a message room was reserved for until its time. Returns its offset. */
  add(message: MessageToStore, dueAt: number): number {
    const properties = {
      ...message.properties,
      [Property.REAL_TOPIC]: message.topic,
      [Property.REAL_QUEUE_ID]: String(message.queueId),
      ...(isLevel(message) ? {} : { [Property.TIMER_OUT_MS]: String(dueAt) }),
    };
    const offset = this.#nextOffset++;
    this.#timeline.add(dueAt, { message: { ...message, properties }, offset });
    return offset;
  }

  /** Only timers can be recalled; a level has no handle. */
  recallHandle(message: MessageToStore, dueAt: number): string | undefined {
    if (isLevel(message)) return undefined;
    const parts = ['v1', message.topic, this.#settings.name, dueAt, messageIdOf(message.properties)];
    return Buffer.from(parts.join(' ')).toString('base64url');
  }

  /**
   * Takes a message back.
   *
   * @returns its unique key, also when it is not there (any more)
   * @throws RocketMQError `INVALID_ARGUMENT` for a handle that is none, `BROKER_REJECTED` when it is not for this
   * topic or its time has come
   */
  recall(topic: string, text: string): string {
    const handle = decodeHandle(text);
    if (handle.topic !== topic) {
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

function isLevel({ properties }: Pick<MessageToStore, 'properties'>): boolean {
  return Number(properties[Property.DELAY_LEVEL] ?? 0) > 0;
}

/** `v1 topic broker timestamp messageId`. (Java: `RecallMessageHandle`.) */
function decodeHandle(text: string): RecallHandle {
  const [version, topic, , dueAt, messageId] = Buffer.from(text, 'base64url').toString().split(' ');
  if (version === 'v1' && topic !== undefined && messageId !== undefined) {
    return { topic, messageId, dueAt: Number(dueAt) };
  }
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    'The recall handle is none. Pass the recallHandle of the receipt of a timer message.',
  );
}
