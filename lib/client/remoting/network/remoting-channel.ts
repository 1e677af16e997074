import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { Clock, ClockTimer } from '../../clock.js';
import { DEFAULT_MAX_FRAME_BYTES } from '../protocol/frame-header.js';
import {
  CommandFlag,
  isResponse,
  type RemotingCommand,
  type RemotingRequest,
  type RemotingResponse,
} from '../protocol/remoting-command.js';
import { ResponseCode } from '../protocol/response-code.js';
import { splitHostPort } from '../protocol/socket-address.js';
import {
  closedError,
  connectionFailed,
  connectionLost,
  protocolViolation,
  timedOut,
} from './channel-errors.js';
import { FrameReader } from './frame-reader.js';
import { FrameWriter } from './frame-writer.js';
import { OneWayQueue } from './one-way-queue.js';
import type { PendingRequest } from './pending-request.js';

/** Probes of the operating system on an idle connection begin after this. */
const KEEP_ALIVE_DELAY_MS = 15_000;
/** Requests timed out and nothing at all arrived for so long: the connection is taken for half-open. */
const HALF_OPEN_AFTER_MS = 5_000;
/** One-way requests wait when the socket holds back more than this. */
const ONE_WAY_HIGH_WATER_BYTES = 4 * 1024 * 1024;
/** One-way requests that may wait; more fail at once. */
const MAX_WAITING_ONE_WAYS = 10_000;
/** Expired requests are looked for no more often than this. */
const MIN_EXPIRY_INTERVAL_MS = 5;
/** How long the last bytes get to leave when a channel is closed. */
const CLOSE_GRACE_MS = 500;
const HANDED_OVER: Promise<void> = Promise.resolve();

export interface ChannelOptions {
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly maxFrameBytes?: number | undefined;
  /** Present: every connection is encrypted. */
  readonly tls?: ConnectionOptions | undefined;
}

/** What a channel tells the pool it belongs to. None of them may throw. */
export interface ChannelListener {
  onOpen(channel: RemotingChannel): void;
  onRequest(channel: RemotingChannel, command: RemotingCommand): void;
  /** The server is shutting down and has not looked at the request. */
  onGoAway(channel: RemotingChannel, pending: PendingRequest, answer: RemotingCommand): void;
  /** @param error undefined when this side closed it */
  onClose(channel: RemotingChannel, error: RocketMQError | undefined): void;
  /** The socket is gone; the last thing a channel says. */
  onGone(channel: RemotingChannel): void;
}

/**
 * One connection. It opens when it is made, takes requests at once and lives until an error, the peer or
 * {@link close} ends it; it never reconnects. One timer serves all its deadlines.
 */
export class RemotingChannel {
  readonly address: string;
  readonly #options: ChannelOptions;
  readonly #listener: ChannelListener;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #oneWays = new OneWayQueue();
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #draining = false;
  #wasOpen = false;
  #received = false;
  #opaque = 0;
  #lastReceivedAt = -1;
  /** When the first request was sent that timed out without anything arriving since. */
  #silentSince = Infinity;
  #connectTimer: ClockTimer;
  #timer: ClockTimer;
  #timerAt = Infinity;
  #onSocketClosed: (() => void) | undefined;
  #lastError: unknown;

  constructor(address: string, options: ChannelOptions, listener: ChannelListener) {
    this.address = address;
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.clock;
    this.#reader = new FrameReader(
      (command) => this.#onCommand(command),
      options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES,
    );
    this.#socket = this.#open();
    this.#writer = new FrameWriter(this.#socket);
  }

  get pendingRequests(): number {
    return this.#pending.size + this.#oneWays.length;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether it was ever connected. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** Whether the peer ever said anything. */
  get hasReceived(): boolean {
    return this.#received;
  }

  /** The promise of the pending request is settled in any case. */
  send(pending: PendingRequest): void {
    if (this.#state === 'closed') {
      pending.reject(connectionLost(this.address, 'it is closed'));
      return;
    }
    const opaque = this.#opaque;
    this.#opaque = (opaque + 1) & 0x7fff_ffff;
    pending.opaque = opaque;
    pending.owner = this;
    this.#pending.set(opaque, pending);
    if (this.#state === 'open') this.#write(pending);
    if (pending.deadline < this.#timerAt) this.#arm(pending.deadline);
  }

  /** Resolves when the bytes are with the socket and the socket is not far behind. */
  sendOneWay(request: RemotingRequest, deadline: number): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(connectionLost(this.address, 'it is closed'));
    if (this.#oneWays.length === 0 && this.#hasRoom()) {
      this.#writeOneWay(request);
      return HANDED_OVER;
    }
    if (this.#oneWays.length >= MAX_WAITING_ONE_WAYS) {
      return Promise.reject(
        new RocketMQError(
          'TOO_MANY_IN_FLIGHT',
          `${MAX_WAITING_ONE_WAYS} one-way requests wait for ${this.address}. Await each one, or send less.`,
          { retryable: true },
        ),
      );
    }
    if (deadline < this.#timerAt) this.#arm(deadline);
    return this.#oneWays.add(request, deadline);
  }

  /** Answers a request of the server, in the serialization it used. */
  respond({ opaque, serializeType }: RemotingCommand, response: RemotingResponse): void {
    if (this.#state === 'open') this.#writer.add(response, opaque, CommandFlag.RESPONSE, serializeType);
  }

  /** Takes a request out; its answer, should it come, is ignored. */
  forget(pending: PendingRequest): void {
    if (this.#pending.get(pending.opaque) !== pending) return;
    this.#pending.delete(pending.opaque);
    this.#closeWhenDrained();
  }

  /** No new requests will come; closes as soon as the present ones have ended. */
  drain(): void {
    this.#draining = true;
    this.#closeWhenDrained();
  }

  /** Fails what waits, lets the last bytes leave, and resolves when the socket is gone. */
  close(): Promise<void> {
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const grace = this.#clock.setTimeout(() => this.#socket.destroy(), CLOSE_GRACE_MS);
      const previous = this.#onSocketClosed;
      this.#onSocketClosed = () => {
        this.#clock.clearTimeout(grace);
        previous?.();
        resolve();
      };
      this.#end(undefined);
    });
  }

  #open(): Socket {
    const { connectTimeoutMs, tls } = this.#options;
    const target = splitHostPort(this.address);
    if (target === undefined) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `"${this.address}" is not an address. Write "host:port", an IPv6 host in brackets.`,
      );
    }
    // Server names are for host names; an address as one is against RFC 6066.
    const servername = isIP(target.host) === 0 ? target.host : '';
    const socket = tls === undefined ? connectTcp(target) : connectTls({ servername, ...tls, ...target });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket.on(tls === undefined ? 'connect' : 'secureConnect', () => this.#onConnect());
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('drain', () => this.#releaseOneWays());
    socket.on('error', (error) => {
      this.#lastError = error;
    });
    socket.on('close', () => this.#onClose());
    this.#connectTimer = this.#clock.setTimeout(() => {
      this.#end(connectionFailed(this.address, `it was not made within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    return socket;
  }

  #onConnect(): void {
    if (this.#state !== 'connecting') return;
    this.#clock.clearTimeout(this.#connectTimer);
    this.#state = 'open';
    this.#wasOpen = true;
    for (const pending of this.#pending.values()) this.#write(pending);
    this.#releaseOneWays();
    this.#listener.onOpen(this);
  }

  #onData(chunk: Buffer): void {
    if (this.#state !== 'open') return;
    this.#lastReceivedAt = this.#clock.monotonic();
    this.#silentSince = Infinity;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#end(protocolViolation(this.address, error as RocketMQError));
    }
  }

  #onCommand(command: RemotingCommand): void {
    this.#received = true;
    if (this.#state !== 'open') return;
    if (!isResponse(command)) {
      this.#listener.onRequest(this, command);
      return;
    }
    const pending = this.#pending.get(command.opaque);
    // An answer nobody waits for any more: it timed out, or was aborted.
    if (pending === undefined) return;
    this.#pending.delete(command.opaque);
    if (command.code === ResponseCode.GO_AWAY) this.#listener.onGoAway(this, pending, command);
    else pending.resolve(command);
    if (this.#draining) this.#closeWhenDrained();
  }

  #onClose(): void {
    if (this.#state !== 'closed') this.#end(this.#closeReason());
    this.#onSocketClosed?.();
    this.#listener.onGone(this);
  }

  #closeReason(): RocketMQError {
    const cause = this.#lastError;
    const why = cause instanceof Error ? cause.message : undefined;
    if (!this.#wasOpen) return connectionFailed(this.address, why ?? 'it was closed at once', cause);
    try {
      this.#reader.end();
    } catch (truncated) {
      return connectionLost(this.address, why ?? 'it ended within a frame', truncated);
    }
    return connectionLost(this.address, why ?? 'the server closed it', cause);
  }

  /** The one way out of `connecting` and `open` to `closed`. */
  #end(error: RocketMQError | undefined): void {
    if (this.#state === 'closed') return;
    this.#clock.clearTimeout(this.#connectTimer);
    this.#clock.clearTimeout(this.#timer);
    if (error === undefined && this.#state === 'open') {
      this.#writer.flush();
      this.#socket.end();
    } else {
      this.#socket.destroy();
    }
    this.#state = 'closed';
    const reason = error ?? closedError(this.address);
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const each of pending) each.reject(reason);
    this.#oneWays.failAll(reason);
    this.#listener.onClose(this, error);
  }

  #write(pending: PendingRequest): void {
    try {
      this.#writer.add(pending.request, pending.opaque, 0);
      pending.sentAt = this.#clock.monotonic();
    } catch (error) {
      this.forget(pending);
      pending.reject(error as Error);
    }
  }

  #writeOneWay(request: RemotingRequest): void {
    const opaque = this.#opaque;
    this.#opaque = (opaque + 1) & 0x7fff_ffff;
    this.#writer.add(request, opaque, CommandFlag.ONE_WAY);
  }

  #hasRoom(): boolean {
    const waiting = this.#socket.writableLength + this.#writer.gatheredBytes;
    return this.#state === 'open' && waiting < ONE_WAY_HIGH_WATER_BYTES;
  }

  #releaseOneWays(): void {
    if (this.#oneWays.length === 0) return;
    this.#oneWays.release(
      () => this.#hasRoom(),
      (request) => this.#writeOneWay(request),
    );
  }

  #closeWhenDrained(): void {
    if (this.#draining && this.#pending.size === 0 && this.#state === 'open') void this.close();
  }

  #arm(deadline: number): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const delay = Math.max(MIN_EXPIRY_INTERVAL_MS, deadline - this.#clock.monotonic());
    this.#timer = this.#clock.setTimeout(() => this.#expire(), Math.ceil(delay));
  }

  /** Fails what is overdue and sets the timer for what is next. */
  #expire(): void {
    this.#timerAt = Infinity;
    const now = this.#clock.monotonic();
    const connected = this.#state === 'open';
    let next = this.#oneWays.expire(now, (request) =>
      timedOut(this.address, request.code, this.#options.connectTimeoutMs, connected),
    );
    for (const pending of this.#pending.values()) {
      if (pending.deadline > now) {
        if (pending.deadline < next) next = pending.deadline;
        continue;
      }
      this.#pending.delete(pending.opaque);
      if (pending.sentAt >= this.#lastReceivedAt && pending.sentAt >= 0) {
        this.#silentSince = Math.min(this.#silentSince, pending.sentAt);
      }
      pending.reject(timedOut(this.address, pending.request.code, pending.timeoutMs, connected));
    }
    if (now - this.#silentSince >= HALF_OPEN_AFTER_MS) {
      const seconds = Math.round((now - this.#silentSince) / 1000);
      this.#end(connectionLost(this.address, `nothing arrived for ${seconds} s although requests were sent`));
      return;
    }
    if (next < Infinity) this.#arm(next);
    this.#closeWhenDrained();
  }
}
