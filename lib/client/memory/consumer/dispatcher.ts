import type { Clock, ClockTimer } from '../../clock.js';
import type { ProcessQueue } from './process-queue.js';

/** Handler calls begun before the event loop gets its turn: handlers without input or output would starve it. */
const CALLS_PER_TURN = 256;

/** Shares a limited number of handler calls among queues, one call each in turn. */
export class Dispatcher {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #begin: (processQueue: ProcessQueue) => boolean;
  readonly #ready = new Set<ProcessQueue>();
  #running = 0;
  #begunThisTurn = 0;
  #nextTurn: ClockTimer;
  #closed = false;

  /** @param begin begins one call of the queue, and tells whether it did */
  constructor(limit: number, clock: Clock, begin: (processQueue: ProcessQueue) => boolean) {
    this.#limit = limit;
    this.#clock = clock;
    this.#begin = begin;
  }

  /** The queue may have something to do. */
  offer(processQueue: ProcessQueue): void {
    if (this.#closed) return;
    this.#ready.add(processQueue);
    this.#pump();
  }

  /** A call that was begun is over. */
  ended(): void {
    this.#running--;
    this.#pump();
  }

  /** Begins no more calls. */
  close(): void {
    this.#closed = true;
    this.#ready.clear();
    this.#clock.clearTimeout(this.#nextTurn);
  }

  #pump(): void {
    while (this.#running < this.#limit && this.#nextTurn === undefined) {
      const [processQueue] = this.#ready;
      if (!processQueue) return;
      this.#ready.delete(processQueue);
      this.#running++;
      if (!this.#begin(processQueue)) {
        this.#running--;
        continue;
      }
      if (processQueue.hasWaiting && !this.#closed) this.#ready.add(processQueue);
      if (++this.#begunThisTurn >= CALLS_PER_TURN) this.#goOnNextTurn();
    }
  }

  #goOnNextTurn(): void {
    this.#nextTurn = this.#clock.setTimeout(() => {
      this.#nextTurn = undefined;
      this.#begunThisTurn = 0;
      this.#pump();
    }, 0);
  }
}
