import type { MessageQueue, ReceivedMessage } from '../../../message/message.js';
import type { StoredMessage } from '../stored-message.js';

/**
 * A message between pull and result.
 *
 * - `waiting`: for a handler
 * - `handed`: to a handler, or on its way back to the broker
 * - `resting`: until a local retry
 * - `finished`: acknowledged, sent back or dead
 */
export type HeldState = 'waiting' | 'handed' | 'resting' | 'finished';

export interface HeldMessage {
  /** As the handler sees it; a local retry replaces it by one with a higher `attempt`. */
  message: ReceivedMessage;
  readonly stored: StoredMessage;
  state: HeldState;
}

/** Finished places at the front that are cut off together. */
const CUT_OFF_AT = 256;

/**
 * The messages of one queue that were pulled and are not finished. Knows what may be committed: never an offset above
 * a message that is not finished. (Java: `ProcessQueue`.)
 */
export class ProcessQueue {
  /** Topic as the broker knows it. */
  readonly queue: MessageQueue;
  /** `topic@broker:queueId` */
  readonly key: string;
  /** Ascending by offset; copies of a message have the same one. */
  #held: HeldMessage[] = [];
  /** Everything before it is finished. */
  #head = 0;
  /** Nothing before it waits. */
  #cursor = 0;
  #nextOffset: number;
  #dropped = false;
  #count = 0;
  #waiting = 0;
  #bytes = 0;

  constructor(queue: MessageQueue, startOffset: number) {
    this.queue = queue;
    this.key = queueKey(queue);
    this.#nextOffset = startOffset;
  }

  /** Where to pull next. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** Distance between the lowest and the highest offset held. */
  get span(): number {
    const last = this.#held.at(-1);
    return last === undefined ? 0 : last.stored.queueOffset - this.committableOffset;
  }

  /** Up to here, exclusively, everything is finished or was not wanted. */
  get committableOffset(): number {
    return this.#held[this.#head]?.stored.queueOffset ?? this.#nextOffset;
  }

  /** What is still here no longer matters: the queue has another owner, or will be delivered again. */
  get dropped(): boolean {
    return this.#dropped;
  }

  drop(): void {
    this.#dropped = true;
  }

  put(messages: readonly Pick<HeldMessage, 'message' | 'stored'>[], nextOffset: number): void {
    if (this.dropped) return;
    for (const { message, stored } of messages) {
      this.#held.push({ message, stored, state: 'waiting' });
      this.#bytes += message.body.length;
    }
    this.#count += messages.length;
    this.#waiting += messages.length;
    this.#nextOffset = nextOffset;
  }

  /**
   * Hands out up to `max` waiting messages of one topic, lowest offset first.
   *
   * @param accept messages it refuses stay
   * @param inOrder stop at the first one that is refused, or not there to be handed out
   */
  take(max: number, accept: (message: ReceivedMessage) => boolean, inOrder: boolean): HeldMessage[] {
    const taken: HeldMessage[] = [];
    if (this.dropped) return taken;
    for (let index = this.#cursor; index < this.#held.length && taken.length < max; index++) {
      const held = this.#held[index]!;
      if (held.state === 'waiting') {
        const [first] = taken;
        if (first ? held.message.topic !== first.message.topic : !accept(held.message)) {
          if (first || inOrder) break;
          continue;
        }
        held.state = 'handed';
        this.#waiting--;
        taken.push(held);
      }
      if (index === this.#cursor) this.#cursor++;
    }
    return taken;
  }

  /** Lets a message that was handed out wait again, at its old place. */
  giveBack(held: HeldMessage): void {
    if (this.dropped || held.state === 'waiting' || held.state === 'finished') return;
    held.state = 'waiting';
    this.#waiting++;
    this.#cursor = Math.min(this.#cursor, this.#held.indexOf(held));
  }

  /** @returns false when it comes too late: the queue was dropped, or the message was finished before */
  finish(held: HeldMessage): boolean {
    if (this.dropped || held.state === 'finished') return false;
    if (held.state === 'waiting') this.#waiting--;
    held.state = 'finished';
    this.#count--;
    this.#bytes -= held.message.body.length;
    while (this.#held[this.#head]?.state === 'finished') this.#head++;
    this.#cursor = Math.max(this.#cursor, this.#head);
    if (this.#head === this.#held.length || this.#head >= CUT_OFF_AT) this.#cutOff();
    return true;
  }

  #cutOff(): void {
    this.#held = this.#held.slice(this.#head);
    this.#cursor -= this.#head;
    this.#head = 0;
  }
}

export function queueKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}:${queueId}`;
}
