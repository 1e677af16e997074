import type { ProcessQueue } from './process-queue.js';

export interface FlowLimits {
  /** Messages held per queue. */
  readonly maxMessages: number;
  /** Bytes held over all queues. */
  readonly maxBytes: number;
  /** Distance between lowest and highest offset held per queue. */
  readonly maxSpan: number;
}

/**
 * Holds pulls back while enough is in memory, or while the user paused the topic. Nobody polls: whoever makes room
 * calls {@link roomMade}. (Java: the first part of `DefaultMQPushConsumerImpl.pullMessage`, which looks again every 50 ms.)
 *
 * The bytes are a limit over all queues, so a queue that holds nothing may always pull once: a paused or slow topic
 * that has filled the memory cannot starve the others. The excess is at most one pull per queue.
 */
export class FlowControl {
  readonly #limits: FlowLimits;
  readonly #queues: () => Iterable<ProcessQueue>;
  readonly #paused: (processQueue: ProcessQueue) => boolean;
  readonly #waiting = new Map<ProcessQueue, () => void>();

  /** @param queues every queue that shares the byte limit */
  constructor(
    limits: FlowLimits,
    queues: () => Iterable<ProcessQueue>,
    paused: (processQueue: ProcessQueue) => boolean,
  ) {
    this.#limits = limits;
    this.#queues = queues;
    this.#paused = paused;
  }

  /** Whether a pull is being held back. */
  get holdsBack(): boolean {
    return this.#waiting.size > 0;
  }

  /** Undefined when the queue may pull now; otherwise resolves when it may, or was {@link release}d. */
  room(processQueue: ProcessQueue): Promise<void> | undefined {
    if (this.#hasRoom(processQueue)) return undefined;
    return new Promise((resolve) => this.#waiting.set(processQueue, resolve));
  }

  /** Stops waiting: the queue is no longer pulled. */
  release(processQueue: ProcessQueue): void {
    const resume = this.#waiting.get(processQueue);
    this.#waiting.delete(processQueue);
    resume?.();
  }

  /** Something was finished or resumed. */
  roomMade(): void {
    // Summed up once for all who wait: with many queues this is called for every message.
    let bytes: number | undefined;
    const heldBytes = (): number => (bytes ??= this.#heldBytes());
    for (const processQueue of this.#waiting.keys()) {
      if (this.#hasRoom(processQueue, heldBytes)) this.release(processQueue);
    }
  }

  #hasRoom(processQueue: ProcessQueue, heldBytes = () => this.#heldBytes()): boolean {
    const { maxMessages, maxBytes, maxSpan } = this.#limits;
    if (this.#paused(processQueue)) return false;
    if (processQueue.count === 0) return true;
    if (processQueue.count >= maxMessages || processQueue.span >= maxSpan) return false;
    return heldBytes() < maxBytes;
  }

  #heldBytes(): number {
    let bytes = 0;
    for (const queue of this.#queues()) bytes += queue.bytes;
    return bytes;
  }
}
