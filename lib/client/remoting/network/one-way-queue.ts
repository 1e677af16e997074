import type { RemotingRequest } from '../protocol/remoting-command.js';

/** A one-way request that waits for the connection, or for room in the socket's buffer. */
export interface WaitingOneWay {
  readonly request: RemotingRequest;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** Monotonic milliseconds. */
  readonly deadline: number;
}

/** One-way requests have no answer to hold them back, so they wait here while a socket is behind. */
export class OneWayQueue {
  readonly #waiting: WaitingOneWay[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  add(request: RemotingRequest, deadline: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ request, resolve, reject, deadline }));
  }

  /** Hands over in order, as long as `hasRoom`. */
  release(hasRoom: () => boolean, send: (request: RemotingRequest) => void): void {
    let count = 0;
    for (const { request, resolve, reject } of this.#waiting) {
      if (!hasRoom()) break;
      count++;
      try {
        send(request);
        resolve();
      } catch (error) {
        reject(error as Error);
      }
    }
    this.#waiting.splice(0, count);
  }

  /** Fails those whose time is up. @returns the next deadline, or Infinity */
  expire(now: number, error: (request: RemotingRequest) => Error): number {
    let next = Infinity;
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      const each = this.#waiting[index] as WaitingOneWay;
      if (each.deadline > now) {
        next = Math.min(next, each.deadline);
        continue;
      }
      this.#waiting.splice(index, 1);
      each.reject(error(each.request));
    }
    return next;
  }

  failAll(error: Error): void {
    for (const each of this.#waiting.splice(0)) each.reject(error);
  }
}
