import { EventEmitter } from 'node:events';
import type { ConnectionState } from '../client/rocketmq-client.js';

/** What a listener event is about. */
export interface MessageEvent {
  readonly connection: string;
  readonly listener: string;
  readonly group: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly messageId: string;
  readonly attempt: number;
}

/** Every event this library emits. Logs, metrics and health hang on these and on nothing else. */
export interface RocketMQEventMap {
  'connection.state': { readonly connection: string; readonly state: ConnectionState };
  'listener.state': {
    readonly connection: string;
    readonly listener: string;
    readonly group: string;
    readonly topic: string;
    readonly state: 'starting' | 'running' | 'paused' | 'stopping' | 'stopped' | 'failed';
    readonly error?: Error;
  };
  'message.received': MessageEvent & { readonly lagMs: number };
  'message.handled': MessageEvent & { readonly durationMs: number };
  /** It will come again. */
  'message.retried': MessageEvent & { readonly error: unknown; readonly delayMs: number | undefined };
  /** Sent to the dead-letter topic on purpose, with the reason as a property. */
  'message.rejected': MessageEvent & { readonly reason: string; readonly error?: unknown };
  /** Acknowledged without effect, because a failure policy says `ack`, or because broadcasting delivers nothing again. */
  'message.dropped': MessageEvent & { readonly reason: string; readonly error?: unknown };
  /** The last attempt failed; the broker moves it to the dead-letter topic. */
  'message.exhausted': MessageEvent & { readonly error: unknown };
  /** Acknowledged without running the handler, because its effect exists already. */
  'message.duplicate': MessageEvent;
  /** The handler ran longer than its time. */
  'message.timeout': MessageEvent & { readonly timeoutMs: number };
  'message.sent': {
    readonly connection: string;
    readonly topic: string;
    readonly messageId: string;
    readonly durationMs: number;
  };
  'message.send-failed': { readonly connection: string; readonly topic: string; readonly error: unknown };
  'drain.start': { readonly connection: string };
  'drain.end': { readonly connection: string; readonly abandoned: number; readonly durationMs: number };
  'outbox.lanes': {
    readonly owned: readonly number[];
    readonly gained: readonly number[];
    readonly lost: readonly number[];
  };
  'outbox.dispatched': {
    readonly lane: number;
    readonly count: number;
    readonly sendMs: number;
    readonly oldestAgeMs: number;
  };
  'outbox.settled': {
    readonly lane: number;
    readonly count: number;
    readonly settleMs: number;
    readonly stale: number;
  };
  /** The broker is away; the lane waits. */
  'outbox.backoff': { readonly lane: number; readonly delayMs: number; readonly error: unknown };
  /** A row that cannot be sent was put aside until `dueAt`, or for an operator when that is undefined (dead). */
  'outbox.parked': {
    readonly lane: number;
    readonly topic: string;
    readonly messageId: string;
    readonly attempts: number;
    readonly dueAt: Date | undefined;
    readonly error: unknown;
  };
  'outbox.error': {
    readonly phase: 'acquire' | 'renew' | 'fetch' | 'settle' | 'park' | 'sweep' | 'release';
    readonly error: unknown;
  };
  'inbox.swept': { readonly removed: number };
  'inbox.error': { readonly phase: 'sweep' | 'lease'; readonly error: unknown };
  /** What is left undone is repaired by the broker's check, or by the next sweep. */
  'transaction.error': { readonly phase: 'commit' | 'rollback' | 'sweep'; readonly error: unknown };
  'transaction.checked': {
    readonly group: string;
    readonly topic: string;
    readonly messageId: string;
    readonly resolution: 'commit' | 'rollback' | 'unknown';
    readonly error?: unknown;
  };
}

export type RocketMQEventName = keyof RocketMQEventMap;

/** The typed event stream of one RocketMQModule. A listener that throws is reported and never disturbs messaging. */
export class RocketMQEvents {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  /** @param onListenerError hears of listeners that threw */
  constructor(
    private readonly onListenerError: (name: RocketMQEventName, error: unknown) => void = () => undefined,
  ) {}

  /** Returns the function that removes the listener. */
  on<N extends RocketMQEventName>(name: N, listener: (event: RocketMQEventMap[N]) => void): () => void {
    const guarded = (event: RocketMQEventMap[N]): void => {
      try {
        listener(event);
      } catch (error) {
        this.onListenerError(name, error);
      }
    };
    this.emitter.on(name, guarded);
    return () => {
      this.emitter.off(name, guarded);
    };
  }

  emit<N extends RocketMQEventName>(name: N, event: RocketMQEventMap[N]): void {
    this.emitter.emit(name, event);
  }

  /** Whether anybody listens; hot paths skip building events nobody wants. */
  has(name: RocketMQEventName): boolean {
    return this.emitter.listenerCount(name) > 0;
  }
}
