import { EventEmitter } from 'node:events';
import type { ConnectionState } from '../client/rocketmq-client.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQInstrumentation } from './instrumentation.js';

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

/** How long guards, pipes, interceptors and handler took; 0 when the message did not get that far. */
export interface HandlerTime {
  readonly durationMs: number;
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
  'message.handled': MessageEvent & HandlerTime;
  /** It will come again. */
  'message.retried': MessageEvent &
    HandlerTime & { readonly error: unknown; readonly delayMs: number | undefined };
  /** Sent to the dead-letter topic on purpose, with the reason as a property. */
  'message.rejected': MessageEvent & HandlerTime & { readonly reason: string; readonly error?: unknown };
  /** Acknowledged without effect, because a failure policy says `ack`, or because broadcasting delivers nothing again. */
  'message.dropped': MessageEvent & HandlerTime & { readonly reason: string; readonly error?: unknown };
  /** The last attempt failed; the broker moves it to the dead-letter topic. */
  'message.exhausted': MessageEvent & HandlerTime & { readonly error: unknown };
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
  'message.send-failed': {
    readonly connection: string;
    readonly topic: string;
    /** Messages of the call. */
    readonly count: number;
    readonly durationMs: number;
    readonly error: unknown;
  };
  'drain.start': { readonly connection: string };
  'drain.end': { readonly connection: string; readonly abandoned: number; readonly durationMs: number };
  'outbox.lanes': {
    readonly owned: readonly number[];
    readonly gained: readonly number[];
    readonly lost: readonly number[];
  };
  /** The broker stored one request of the relay: a message or a batch. */
  'outbox.dispatched': {
    /** Undefined: the default connection. */
    readonly connection: string | undefined;
    readonly topic: string;
    /** Messages in the request. */
    readonly count: number;
    readonly sendMs: number;
    /** Of each message, the time from writing its row to now. */
    readonly agesMs: readonly number[];
  };
  /** One statement removed acknowledged rows. Those that were gone already (`stale`) had been sent by somebody else too. */
  'outbox.settled': { readonly count: number; readonly settleMs: number; readonly stale: number };
  /** The broker is away; rows of this topic wait. */
  'outbox.backoff': {
    readonly connection: string | undefined;
    readonly topic: string;
    /** In the request that failed. */
    readonly rows: number;
    readonly delayMs: number;
    readonly error: unknown;
  };
  /** A row that cannot be sent was put aside until `dueAt`, or for an operator when that is undefined (dead). */
  'outbox.parked': {
    readonly lane: number;
    readonly topic: string;
    readonly messageId: string;
    readonly attempts: number;
    readonly dueAt: Date | undefined;
    readonly error: unknown;
  };
  /** An operator made parked messages due again. */
  'outbox.replayed': { readonly count: number };
  /** An operator deleted parked messages. */
  'outbox.discarded': { readonly count: number };
  'outbox.error': {
    readonly phase: 'acquire' | 'renew' | 'fetch' | 'settle' | 'park' | 'sweep' | 'release';
    readonly error: unknown;
  };
  'inbox.swept': { readonly removed: number };
  'inbox.error': { readonly phase: 'sweep' | 'lease'; readonly error: unknown };
  /** What is left undone is repaired by the broker's check, or by the next sweep. */
  'transaction.error': { readonly phase: 'commit' | 'rollback' | 'sweep'; readonly error: unknown };
  /** The local transaction of a transactional message ended. `unknown`: the connection was lost during COMMIT. */
  'transaction.ended': {
    readonly group: string;
    readonly topic: string;
    readonly messageId: string;
    readonly outcome: 'committed' | 'rolled-back' | 'unknown';
    readonly via: 'half-message' | 'outbox';
    readonly durationMs: number;
  };
  'transaction.checked': {
    readonly group: string;
    readonly topic: string;
    readonly messageId: string;
    readonly resolution: 'commit' | 'rollback' | 'unknown';
    readonly durationMs: number;
    readonly error?: unknown;
  };
}

/** The name of an event. */
export type RocketMQEventName = keyof RocketMQEventMap;

/** The typed event stream of one RocketMQModule. A listener that throws is reported and never disturbs messaging. */
export class RocketMQEvents {
  private readonly emitter = new EventEmitter().setMaxListeners(0);
  private instrument: RocketMQInstrumentation | undefined;

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

  /** Tells every listener, at once. For the library itself; an application may emit in tests. */
  emit<N extends RocketMQEventName>(name: N, event: RocketMQEventMap[N]): void {
    this.emitter.emit(name, event);
  }

  /** What stands around sends and handlers, if anything does. */
  get instrumentation(): RocketMQInstrumentation | undefined {
    return this.instrument;
  }

  /**
   * Puts an instrumentation around every send and every handler from now on. Returns the function that takes it away.
   * @throws RocketMQError `INVALID_CONFIGURATION` when there is one already
   */
  instrumentWith(instrumentation: RocketMQInstrumentation): () => void {
    if (this.instrument !== undefined) {
      throw new RocketMQError(
        'INVALID_CONFIGURATION',
        'Messaging is instrumented already. Import RocketMQTracingModule once, or take the other instrumentation away first.',
      );
    }
    this.instrument = instrumentation;
    return () => {
      if (this.instrument === instrumentation) this.instrument = undefined;
    };
  }

  /** Whether anybody listens; hot paths skip building events nobody wants. */
  has(name: RocketMQEventName): boolean {
    return this.emitter.listenerCount(name) > 0;
  }
}
