import type { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ClientLog } from '../../rocketmq-client.js';
import {
  isOneWay,
  type RemotingCommand,
  type RemotingRequest,
  type RemotingResponse,
} from '../protocol/remoting-command.js';
import { requestCodeName } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { aborted, closedError, connectionFailed, connectionLost } from './channel-errors.js';
import { PendingRequest } from './pending-request.js';
import { ReconnectBackoff } from './reconnect-backoff.js';
import { RemotingChannel, type ChannelListener, type ChannelOptions } from './remoting-channel.js';

export interface RemotingChannelsOptions extends ChannelOptions {
  readonly log: ClientLog;
}

export interface InvokeOptions {
  /** Milliseconds, connecting included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Answers a request of the server; `undefined` sends no answer. */
export type RequestHandler = (
  command: RemotingCommand,
  address: string,
) => Promise<RemotingResponse | undefined> | RemotingResponse | undefined;

/** Changes a request before it is sent, to sign it for example. (Java: `RPCHook`.) */
export type RequestHook = (address: string, request: RemotingRequest) => RemotingRequest;

/**
 * The connections of a client: one per address, made when a request needs it and made again after a loss, with
 * growing pauses while the address does not answer. (Java: `NettyRemotingClient`.)
 */
export class RemotingChannels {
  readonly #options: RemotingChannelsOptions;
  readonly #log: ClientLog;
  readonly #backoff: ReconnectBackoff;
  readonly #listener: ChannelListener;
  /** Those that take requests. */
  readonly #channels = new Map<string, RemotingChannel>();
  /** Those that only wait for answers, after GO_AWAY. */
  readonly #draining = new Set<RemotingChannel>();
  /** Those whose socket is not gone yet. */
  readonly #sockets = new Set<RemotingChannel>();
  readonly #handlers = new Map<number, RequestHandler>();
  readonly #hooks: RequestHook[] = [];
  readonly #connectListeners = new Set<(address: string) => void>();
  readonly #disconnectListeners = new Set<(address: string) => void>();
  #closing: Promise<void> | undefined;

  constructor(options: RemotingChannelsOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#backoff = new ReconnectBackoff(options.clock);
    this.#listener = {
      onOpen: (channel) => this.#notify(this.#connectListeners, channel.address),
      onRequest: (channel, command) => this.#onRequest(channel, command),
      onGoAway: (channel, pending, answer) => this.#onGoAway(channel, pending, answer),
      onClose: (channel, error) => this.#onClose(channel, error),
      onGone: (channel) => void this.#sockets.delete(channel),
    };
  }

  /** Requests that wait for an answer or a connection. */
  get pendingRequests(): number {
    let sum = 0;
    for (const channel of this.#channels.values()) sum += channel.pendingRequests;
    for (const channel of this.#draining) sum += channel.pendingRequests;
    return sum;
  }

  /** Addresses with an open connection. */
  get connected(): readonly string[] {
    return Array.from(this.#channels.values())
      .filter((channel) => channel.isOpen)
      .map((channel) => channel.address);
  }

  /**
   * Resolves with the answer, whatever its response code is. GO_AWAY is followed by one resend over a new connection.
   *
   * @throws RocketMQError `CONNECTION_FAILED` or `TIMEOUT` (retryable), `PROTOCOL_VIOLATION`, `MESSAGE_TOO_LARGE`,
   * `ABORTED`, `CLOSED`
   */
  invoke(
    address: string,
    request: RemotingRequest,
    { timeoutMs, signal }: InvokeOptions,
  ): Promise<RemotingCommand> {
    if (signal?.aborted) return Promise.reject(aborted(address, request.code, signal.reason));
    try {
      const channel = this.#channel(address);
      const now = this.#options.clock.monotonic();
      const pending = new PendingRequest(address, this.#hooked(address, request), timeoutMs, now, signal);
      channel.send(pending);
      return pending.promise;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /**
   * Resolves when the bytes were handed to the socket; waits while it is far behind, at most the connect timeout.
   *
   * @throws RocketMQError as {@link invoke}, and `TOO_MANY_IN_FLIGHT`
   */
  invokeOneWay(address: string, request: RemotingRequest): Promise<void> {
    try {
      const channel = this.#channel(address);
      const deadline = this.#options.clock.monotonic() + this.#options.connectTimeoutMs;
      return channel.sendOneWay(this.#hooked(address, request), deadline);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** Sets who answers requests of servers with this code. */
  onRequest(code: number, handler: RequestHandler): void {
    this.#handlers.set(code, handler);
  }

  /** Called whenever a connection was made. @returns a function that removes the listener */
  onConnect(listener: (address: string) => void): () => void {
    this.#connectListeners.add(listener);
    return () => this.#connectListeners.delete(listener);
  }

  /** Called whenever an open connection was lost, not after {@link close}. @returns a function that removes the listener */
  onDisconnect(listener: (address: string) => void): () => void {
    this.#disconnectListeners.add(listener);
    return () => this.#disconnectListeners.delete(listener);
  }

  addRequestHook(hook: RequestHook): void {
    this.#hooks.push(hook);
  }

  /** Fails what waits with `CLOSED`; resolves when no socket and no timer is left. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await Promise.all(Array.from(this.#sockets, (channel) => channel.close()));
  }

  #channel(address: string): RemotingChannel {
    if (this.#closing !== undefined) throw closedError(address);
    const present = this.#channels.get(address);
    if (present !== undefined) return present;
    const pausing = this.#backoff.reason(address);
    if (pausing !== undefined) {
      throw connectionFailed(
        address,
        `the last attempt failed, the next may follow in ${pausing.waitMs} ms`,
        pausing.error,
      );
    }
    const channel = new RemotingChannel(address, this.#options, this.#listener);
    this.#channels.set(address, channel);
    this.#sockets.add(channel);
    return channel;
  }

  #hooked(address: string, request: RemotingRequest): RemotingRequest {
    let hooked = request;
    for (const hook of this.#hooks) hooked = hook(address, hooked);
    return hooked;
  }

  #onRequest(channel: RemotingChannel, command: RemotingCommand): void {
    void this.#answer(channel, command).catch((error: unknown) => {
      this.#log(
        'error',
        `The answer to ${requestCodeName(command.code)} of ${channel.address} failed.`,
        error,
      );
    });
  }

  async #answer(channel: RemotingChannel, command: RemotingCommand): Promise<void> {
    const response = await this.#handle(command, channel.address);
    if (response !== undefined && !isOneWay(command)) channel.respond(command, response);
  }

  async #handle(command: RemotingCommand, address: string): Promise<RemotingResponse | undefined> {
    const handler = this.#handlers.get(command.code);
    if (handler === undefined) {
      this.#log('debug', `${address} asked for ${requestCodeName(command.code)}, which nobody answers here.`);
      return {
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: `request type ${command.code} not supported`,
      };
    }
    try {
      return await handler(command, address);
    } catch (error) {
      this.#log('error', `Handling ${requestCodeName(command.code)} of ${address} failed.`, error);
      return {
        code: ResponseCode.SYSTEM_ERROR,
        remark: error instanceof Error ? error.message : String(error),
      };
    }
  }

  #onGoAway(channel: RemotingChannel, pending: PendingRequest, answer: RemotingCommand): void {
    const { address } = channel;
    if (this.#channels.get(address) === channel) {
      this.#log('info', `${address} is shutting down; its requests go over a new connection.`);
      this.#channels.delete(address);
      this.#draining.add(channel);
      channel.drain();
    }
    if (pending.resent) {
      // The new connection led to the same server: no third one for every request until it is gone.
      this.#backoff.failed(address, connectionLost(address, 'the server is shutting down'));
      pending.resolve(answer);
      return;
    }
    pending.resent = true;
    try {
      this.#channel(address).send(pending);
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  #onClose(channel: RemotingChannel, error: RocketMQError | undefined): void {
    const { address } = channel;
    const draining = this.#draining.delete(channel);
    if (this.#channels.get(address) === channel) this.#channels.delete(address);
    if (error !== undefined && !draining) {
      if (channel.hasReceived) this.#backoff.succeeded(address);
      else this.#backoff.failed(address, error);
    }
    if (error === undefined || draining || this.#closing !== undefined) return;
    if (channel.wasOpen) {
      this.#log('warn', error.message, error.cause);
      this.#notify(this.#disconnectListeners, address);
    } else {
      this.#log('debug', error.message, error.cause);
    }
  }

  #notify(listeners: ReadonlySet<(address: string) => void>, address: string): void {
    for (const listener of listeners) {
      try {
        listener(address);
      } catch (error) {
        this.#log('error', `A listener to the connection to ${address} failed.`, error);
      }
    }
  }
}
