import type { ReceivedMessage } from '../../message/message.js';
import { pause, type Clock } from '../clock.js';
import type { ConsumeMessageService } from './consume-message-service.js';
import type { ProcessQueue } from './process-queue.js';

/**
 * The pull consumer's end of the process queues: messages wait for `poll`, and count as finished when they were
 * handed out. (Java: `DefaultLitePullConsumerImpl.poll`, `AssignedMessageQueue`.)
 */
export class PollService implements ConsumeMessageService {
  readonly inFlight = 0;
  readonly #clock: Clock;
  readonly #onRoom: () => void;
  readonly #isPaused: (processQueue: ProcessQueue) => boolean;
  /** Queues with messages; the first one is served next. */
  readonly #ready = new Set<ProcessQueue>();
  readonly #waiting = new Set<AbortController>();

  constructor(clock: Clock, isPaused: (processQueue: ProcessQueue) => boolean, onRoom: () => void) {
    this.#clock = clock;
    this.#isPaused = isPaused;
    this.#onRoom = onRoom;
  }

  submit(processQueue: ProcessQueue): void {
    this.#ready.add(processQueue);
    this.#wake();
  }

  async revoke(processQueue: ProcessQueue): Promise<void> {
    processQueue.drop();
    this.abandon(processQueue);
  }

  abandon(processQueue: ProcessQueue): void {
    this.#ready.delete(processQueue);
  }

  /** Lets every poll return. */
  async drain(): Promise<number> {
    this.#ready.clear();
    this.#wake();
    return 0;
  }

  /** Up to `max` messages, from one queue after the other; waits for the first one. */
  async poll(max: number, timeoutMs: number, closed: () => boolean): Promise<ReceivedMessage[]> {
    const deadline = this.#clock.monotonic() + timeoutMs;
    for (;;) {
      const messages = this.#take(max);
      const left = deadline - this.#clock.monotonic();
      if (messages.length > 0 || left <= 0 || closed()) return messages;
      const wake = new AbortController();
      this.#waiting.add(wake);
      await pause(this.#clock, left, wake.signal);
      this.#waiting.delete(wake);
    }
  }

  #take(max: number): ReceivedMessage[] {
    const messages: ReceivedMessage[] = [];
    const line = Array.from(this.#ready);
    for (const processQueue of line) {
      if (messages.length >= max) break;
      if (this.#isPaused(processQueue)) continue;
      for (const held of processQueue.take(max - messages.length, () => true)) {
        messages.push(held.message);
        processQueue.finish(held);
      }
      // To the end of the line, so that a full queue does not hide the others.
      this.#ready.delete(processQueue);
      if (processQueue.hasWaiting) this.#ready.add(processQueue);
    }
    if (messages.length > 0) this.#onRoom();
    return messages;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake.abort();
  }
}
