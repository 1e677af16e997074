import { setMaxListeners } from 'node:events';

import type { RemotingCommand, RemotingRequest } from '../protocol/remoting-command.js';
import { aborted } from './channel-errors.js';

/** What a pending request needs of the channel it waits on. */
interface Owner {
  forget(pending: PendingRequest): void;
}

/**
 * A request that waits for its answer. One object with everything, so that sending costs no closures and no timer
 * of its own; it moves to another channel when the server says GO_AWAY. (Java: `ResponseFuture`.)
 */
export class PendingRequest implements EventListenerObject {
  readonly address: string;
  readonly request: RemotingRequest;
  readonly timeoutMs: number;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly promise: Promise<RemotingCommand>;
  /** Set by the channel. */
  opaque = -1;
  /** Monotonic milliseconds; -1 while it waits for the connection. */
  sentAt = -1;
  /** Whether it was sent a second time, after GO_AWAY. */
  resent = false;
  owner: Owner | undefined;
  readonly #signal: AbortSignal | undefined;
  #resolve!: (command: RemotingCommand) => void;
  #reject!: (error: Error) => void;

  constructor(
    address: string,
    request: RemotingRequest,
    timeoutMs: number,
    now: number,
    signal: AbortSignal | undefined,
  ) {
    this.address = address;
    this.request = request;
    this.timeoutMs = timeoutMs;
    this.deadline = now + timeoutMs;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#signal = signal;
    if (signal !== undefined) {
      // One signal may end any number of requests; Node warns of more than ten listeners.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', this);
    }
  }

  resolve(command: RemotingCommand): void {
    this.#signal?.removeEventListener('abort', this);
    this.#resolve(command);
  }

  reject(error: Error): void {
    this.#signal?.removeEventListener('abort', this);
    this.#reject(error);
  }

  /** The caller aborted. */
  handleEvent(): void {
    this.owner?.forget(this);
    this.reject(aborted(this.address, this.request.code, this.#signal?.reason));
  }
}

/** As the platform's type of the same name, which `@types/node` does not export. */
interface EventListenerObject {
  handleEvent(): void;
}
