import type { ProcessQueue } from './process-queue.js';

export interface FlowLimits {
  /** Messages held per queue. */
  readonly maxMessages: number;
  /** Bytes of bodies held over all queues. */
  readonly maxBytes: number;
  /** Distance between lowest and highest offset held per queue. */
  readonly maxSpan: number;
}

/** Holds pulls back while enough is in memory. Whoever makes room calls {@link roomMade}; nobody polls. */
export class FlowControl {
  readonly #limits: FlowLimits;
  readonly #queues: () => Iterable<ProcessQueue>;
  readonly #waiting = new Map<ProcessQueue, () => void>();

  /** @param queues every queue that shares the limit of bytes */
  constructor(limits: FlowLimits, queues: () => Iterable<ProcessQueue>) {
    this.#limits = limits;
    this.#queues = queues;
  }

  /** Resolves when the queue may pull, or the signal aborts. */
  async room(processQueue: ProcessQueue, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#hasRoom(processQueue)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(processQueue);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.set(processQueue, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Something was finished. */
  roomMade(): void {
    for (const [processQueue, release] of this.#waiting) {
      if (this.#hasRoom(processQueue)) release();
    }
  }

  /** A queue that holds nothing may always pull once, or a slow topic could starve the others. */
  #hasRoom(processQueue: ProcessQueue): boolean {
    const { maxMessages, maxBytes, maxSpan } = this.#limits;
    if (processQueue.count === 0) return true;
    if (processQueue.count >= maxMessages || processQueue.span >= maxSpan) return false;
    let bytes = 0;
    for (const queue of this.#queues()) bytes += queue.bytes;
    return bytes < maxBytes;
  }
}
