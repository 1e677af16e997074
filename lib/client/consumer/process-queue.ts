import type { MessageQueue, ReceivedMessage } from '../../message/message.js';
import type { PulledMessage } from './consumer-broker.js';
import { queueKey } from './queue-key.js';
import type { StoredMessage } from './stored-message.js';

/**
 * A message between pull and result.
 *
 * - `waiting`: for a handler
 * - `handed`: to a handler, or on its way back to the broker
 * - `resting`: until a local retry
 * - `finished`: acknowledged, sent back or dead; never shown again
 */
export type HeldState = 'waiting' | 'handed' | 'resting' | 'finished';

export interface HeldMessage {
  /** As the handler sees it; a local retry replaces it by one with a higher `attempt`. */
  message: ReceivedMessage;
  /** As the broker stored it: what a send-back needs. */
  readonly stored: StoredMessage;
  readonly offset: number;
  state: HeldState;
  /** Position in the queue's list, counted from its beginning. */
  readonly position: number;
}

/** Stands where a finished message was, so that one slow message does not keep the bodies of those behind it alive. */
const FINISHED: { readonly state: HeldState; readonly offset: number } = { state: 'finished', offset: -1 };

/**
 * What a message takes in memory besides its body: objects, ids, properties. Measured with bodies of 1 KiB, a tag and a
 * key by `npm run bench -- memory`.
 */
export const MESSAGE_OVERHEAD_BYTES = 1_400;

/** Finished places at the front that are cut off together. */
const COMPACT_FROM = 256;

/**
 * The messages of one queue that were pulled and are not finished. Knows what may be committed: never an offset
 * above a message that is not finished. Pure: no input or output, no time. (Java: `ProcessQueue`.)
 */
export class ProcessQueue {
  readonly queue: MessageQueue;
  /** `topic@broker:queueId` */
  readonly key: string;
  /** When the broker answered a pull last, and when a handler got something last: epoch milliseconds, for whoever looks. */
  lastPullTimestamp = 0;
  lastConsumeTimestamp = 0;
  /** Ascending by offset; copies of a message have the same one. Everything before `#head` is finished. */
  #places: (HeldMessage | typeof FINISHED)[] = [];
  /** Places cut off at the front so far. */
  #cutOff = 0;
  #head = 0;
  /** Nothing before it waits. */
  #cursor = 0;
  #nextOffset: number;
  #lastOffset = -1;
  #count = 0;
  #waiting = 0;
  #bytes = 0;
  #dropped = false;

  constructor(queue: MessageQueue, startOffset: number) {
    this.queue = queue;
    this.key = queueKey(queue);
    this.#nextOffset = startOffset;
  }

  /** Where to pull next. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Unfinished messages. */
  get count(): number {
    return this.#count;
  }

  /** What unfinished messages take in memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** Distance between the lowest and the highest offset held. */
  get span(): number {
    const head = this.#places[this.#head];
    return head === undefined ? 0 : this.#lastOffset - head.offset;
  }

  /**
   * Up to here (exclusively) everything is finished or was filtered out by the broker: the lowest unfinished offset,
   * or where the next pull begins. Frozen once the queue is dropped.
   */
  get committableOffset(): number {
    return this.#places[this.#head]?.offset ?? this.#nextOffset;
  }

  /** The queue went to another owner: what is still held here no longer matters. */
  get dropped(): boolean {
    return this.#dropped;
  }

  drop(): void {
    this.#dropped = true;
  }

  /**
   * Adds what a pull brought. Messages below the position pulled from were delivered before and are left out.
   *
   * @param nextOffset where the next pull begins: everything below is held here now or was filtered out
   * @returns the messages taken in
   */
  put(messages: readonly PulledMessage[], nextOffset: number): HeldMessage[] {
    if (this.#dropped) return [];
    const from = this.#nextOffset;
    const added: HeldMessage[] = [];
    for (const { message, stored } of messages) {
      const offset = stored.queueOffset;
      if (offset < from) continue;
      const position = this.#cutOff + this.#places.length;
      const held: HeldMessage = { message, stored, offset, state: 'waiting', position };
      this.#places.push(held);
      this.#nextOffset = Math.max(this.#nextOffset, offset + 1);
      this.#lastOffset = offset;
      this.#bytes += stored.body.length + MESSAGE_OVERHEAD_BYTES;
      added.push(held);
    }
    this.#count += added.length;
    this.#waiting += added.length;
    if (nextOffset > this.#nextOffset) this.#nextOffset = nextOffset;
    return added;
  }

  /** The broker has nothing for us below this offset. */
  skipTo(offset: number): void {
    if (!this.#dropped && offset > this.#nextOffset) this.#nextOffset = offset;
  }

  /**
   * Hands out up to `max` waiting messages of one topic, lowest offset first.
   *
   * @param accept messages it refuses stay
   * @param inOrder stop at the first refused message instead of looking behind it
   */
  take(max: number, accept: (message: ReceivedMessage) => boolean, inOrder = false): HeldMessage[] {
    const taken: HeldMessage[] = [];
    if (this.#dropped) return taken;
    for (let index = this.#cursor; taken.length < max && this.#waiting > 0; index++) {
      const place = this.#places[index];
      if (place === undefined) break;
      if (place.state === 'waiting') {
        const held = place as HeldMessage;
        const first = taken[0];
        const wanted =
          first === undefined ? accept(held.message) : held.message.topic === first.message.topic;
        if (!wanted) {
          if (inOrder || first !== undefined) break;
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
    if (this.#dropped || held.state === 'waiting' || held.state === 'finished') return;
    held.state = 'waiting';
    this.#waiting++;
    this.#cursor = Math.min(this.#cursor, held.position - this.#cutOff);
  }

  /** @returns false when the result came too late: the queue was dropped, or the message was finished before. */
  finish(held: HeldMessage): boolean {
    if (this.#dropped || held.state === 'finished') return false;
    if (held.state === 'waiting') this.#waiting--;
    held.state = 'finished';
    this.#places[held.position - this.#cutOff] = FINISHED;
    this.#count--;
    this.#bytes -= held.stored.body.length + MESSAGE_OVERHEAD_BYTES;
    while (this.#places[this.#head]?.state === 'finished') this.#head++;
    if (this.#cursor < this.#head) this.#cursor = this.#head;
    if (this.#head === this.#places.length || this.#head >= COMPACT_FROM) this.#compact();
    return true;
  }

  #compact(): void {
    this.#places = this.#head === this.#places.length ? [] : this.#places.slice(this.#head);
    this.#cutOff += this.#head;
    this.#cursor -= this.#head;
    this.#head = 0;
  }
}
