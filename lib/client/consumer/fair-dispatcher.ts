import { nextTurn, type Clock } from '../clock.js';
import type { ProcessQueue } from './process-queue.js';

/**
 * Handler calls begun before the event loop gets its turn again. Handlers that finish without input or output would
 * otherwise keep sockets and timers waiting for as long as there are messages in memory.
 */
const CALLS_PER_TURN = 256;

/**
 * Shares a limited number of handler calls among queues: one call each in turn, so that a full queue does not
 * hold up the others.
 */
export class FairDispatcher {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #begin: (processQueue: ProcessQueue) => boolean;
  readonly #ready: ProcessQueue[] = [];
  readonly #enlisted = new Set<ProcessQueue>();
  #running = 0;
  #begunThisTurn = 0;
  #cancelNextTurn: (() => void) | undefined;
  #closed = false;

  /**
   * @param begin begins one handler call of the queue, and tells whether it did. A queue that did is asked again
   * when it is its turn; one that did not, after the next {@link offer}.
   */
  constructor(limit: number, clock: Clock, begin: (processQueue: ProcessQueue) => boolean) {
    this.#limit = limit;
    this.#clock = clock;
    this.#begin = begin;
  }

  /** The queue may have something to do. */
  offer(processQueue: ProcessQueue): void {
    if (this.#closed) return;
    if (!this.#enlisted.has(processQueue)) {
      this.#enlisted.add(processQueue);
      this.#ready.push(processQueue);
    }
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
    this.#ready.length = 0;
    this.#enlisted.clear();
    this.#cancelNextTurn?.();
  }

  #pump(): void {
    while (this.#running < this.#limit && this.#cancelNextTurn === undefined) {
      const processQueue = this.#ready.shift();
      if (processQueue === undefined) return;
      this.#enlisted.delete(processQueue);
      // Counted first: a handler may end before begin() returns.
      this.#running++;
      if (!this.#begin(processQueue)) {
        this.#running--;
        continue;
      }
      if (processQueue.hasWaiting && !this.#enlisted.has(processQueue) && !this.#closed) {
        this.#enlisted.add(processQueue);
        this.#ready.push(processQueue);
      }
      if (++this.#begunThisTurn >= CALLS_PER_TURN) this.#continueNextTurn();
    }
  }

  #continueNextTurn(): void {
    this.#cancelNextTurn = nextTurn(this.#clock, () => {
      this.#cancelNextTurn = undefined;
      this.#begunThisTurn = 0;
      this.#pump();
    });
  }
}
