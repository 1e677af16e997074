import { RocketMQError } from '../../message/rocketmq-error.js';
import { atMost, type Clock, type ClockTimer } from '../clock.js';
import type { ConsumeResult, MessageHandler } from '../push-consumer.js';
import { broadcastingLoss } from './broadcasting-loss.js';
import type { ConsumeMessageService, ConsumeServiceOptions } from './consume-message-service.js';
import type { ConsumerReports } from './consumer-reports.js';
import { TO_DEAD_LETTERS } from './delay-level.js';
import { FairDispatcher } from './fair-dispatcher.js';
import type { HandlerCall } from './handler-call.js';
import { HandlerCalls, resultsOf, type CallOutcome } from './handler-calls.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';
import type { SendBack } from './send-back.js';

/** Bounds of a queue's pause. Source: ConsumeMessageOrderlyService.submitConsumeRequestLater. */
const MIN_SUSPEND_MS = 10;
const MAX_SUSPEND_MS = 30_000;

/** What the service needs to know about the broker's lock on a queue. */
export interface QueueLockView {
  isHeld(processQueue: ProcessQueue): boolean;
}

interface Turn {
  /** A call runs, or its results are being dealt with. */
  busy: boolean;
  suspended: ClockTimer;
  /** Set while the queue is to be handed over. */
  onRevoked: (() => void) | undefined;
}

/**
 * Handles one message (or batch) of a queue at a time, in the order of the queue, and only while the broker's lock
 * on the queue is held. A message that fails keeps those behind it. (Java: `ConsumeMessageOrderlyService`.)
 */
export class ConsumeMessageOrderlyService implements ConsumeMessageService {
  readonly #options: ConsumeServiceOptions & { readonly suspendMs: number };
  readonly #clock: Clock;
  readonly #reports: ConsumerReports;
  readonly #sendBack: Pick<SendBack, 'send' | 'isLastAttempt'>;
  readonly #locks: QueueLockView | undefined;
  readonly #calls: HandlerCalls;
  readonly #dispatcher: FairDispatcher;
  readonly #turns = new Map<ProcessQueue, Turn>();
  #draining = false;
  #onIdle: (() => void) | undefined;

  /** @param locks undefined for broadcasting, where every member has all queues */
  constructor(
    options: ConsumeServiceOptions & { readonly suspendMs: number },
    handler: MessageHandler,
    clock: Clock,
    reports: ConsumerReports,
    sendBack: Pick<SendBack, 'send' | 'isLastAttempt'>,
    locks: QueueLockView | undefined,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#reports = reports;
    this.#sendBack = sendBack;
    this.#locks = locks;
    this.#calls = new HandlerCalls(options.group, handler, clock, (call, outcome) =>
      this.#ended(call, outcome),
    );
    this.#dispatcher = new FairDispatcher(options.concurrency, clock, (processQueue) =>
      this.#begin(processQueue),
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  submit(processQueue: ProcessQueue): void {
    this.#dispatcher.offer(processQueue);
  }

  /**
   * A call under way may finish, and its result counts: the lock is held until then, so the next owner begins
   * behind it. After `consumeTimeoutMs` it is given up.
   */
  async revoke(processQueue: ProcessQueue): Promise<void> {
    const turn = this.#turns.get(processQueue);
    if (turn?.busy) {
      const late = this.#clock.setTimeout(() => {
        processQueue.drop();
        this.#calls.giveUpQueue(processQueue, lockLost(processQueue));
        this.#forget(processQueue);
      }, this.#options.consumeTimeoutMs);
      await new Promise<void>((resolve) => (turn.onRevoked = resolve));
      this.#clock.clearTimeout(late);
    }
    processQueue.drop();
    this.#forget(processQueue);
  }

  abandon(processQueue: ProcessQueue): void {
    this.#calls.abortQueue(processQueue, lockLost(processQueue));
    this.#forget(processQueue);
  }

  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true;
    this.#dispatcher.close();
    for (const turn of this.#turns.values()) this.#clock.clearTimeout(turn.suspended);
    if (!this.#idle) {
      await atMost(this.#clock, timeoutMs, new Promise<void>((resolve) => (this.#onIdle = resolve)));
    }
    return this.#calls.giveUpAll();
  }

  get #idle(): boolean {
    if (this.#calls.size > 0) return false;
    for (const turn of this.#turns.values()) if (turn.busy) return false;
    return true;
  }

  #begin(processQueue: ProcessQueue): boolean {
    let turn = this.#turns.get(processQueue);
    if (turn?.busy || turn?.suspended !== undefined || turn?.onRevoked) return false;
    if (!this.#isOurs(processQueue)) return false;
    const held = processQueue.take(this.#options.batchSize, this.#options.accept, true);
    if (held.length === 0) return false;
    if (turn === undefined) {
      turn = { busy: false, suspended: undefined, onRevoked: undefined };
      this.#turns.set(processQueue, turn);
    }
    turn.busy = true;
    this.#calls.begin(processQueue, held);
    return true;
  }

  #isOurs(processQueue: ProcessQueue): boolean {
    return this.#locks === undefined || this.#locks.isHeld(processQueue);
  }

  #ended(call: HandlerCall, outcome: CallOutcome): void {
    this.#dispatcher.ended();
    void this.#settle(call, outcome);
  }

  /** Never rejects. */
  async #settle({ processQueue, held }: HandlerCall, outcome: CallOutcome): Promise<void> {
    let suspendMs: number | undefined;
    // Without the lock the queue is about to be dropped, and its messages are another member's affair.
    if (outcome.type !== 'given-up' && !processQueue.dropped && this.#isOurs(processQueue)) {
      if (outcome.type === 'failed') this.#reports.error('handler', outcome.error);
      const results = resultsOf(outcome, held.length, (error) => this.#reports.error('handler', error));
      suspendMs = await this.#process(processQueue, held, results);
    }
    const turn = this.#turns.get(processQueue);
    if (turn) {
      turn.busy = false;
      if (suspendMs !== undefined && !processQueue.dropped && !this.#draining) {
        this.#suspend(processQueue, turn, suspendMs);
      }
      turn.onRevoked?.();
    }
    if (this.#draining && this.#idle) this.#onIdle?.();
    this.submit(processQueue);
  }

  /** @returns for how long the queue has to pause because a message was not acknowledged */
  async #process(
    processQueue: ProcessQueue,
    held: readonly HeldMessage[],
    results: readonly ConsumeResult[],
  ): Promise<number | undefined> {
    for (const [index, message] of held.entries()) {
      const result = results[index];
      if (result === undefined) continue;
      if (result.action !== 'ack' && !(await this.#isDead(message, result))) {
        if (processQueue.dropped) return undefined;
        if (result.action === 'retry') {
          this.#reports.emit({ type: 'retried', message: message.message, delayMs: result.delayMs });
        }
        this.#deliverAgain(processQueue, held.slice(index));
        return (result.action === 'retry' ? result.delayMs : undefined) ?? this.#options.suspendMs;
      }
      if (processQueue.finish(message)) this.#options.onRoom();
    }
    return undefined;
  }

  /** Puts a message that is to die, or has failed too often, into the dead letters; false when it stays. */
  async #isDead(held: HeldMessage, result: Exclude<ConsumeResult, { action: 'ack' }>): Promise<boolean> {
    const { message } = held;
    if (result.action === 'retry' && !this.#sendBack.isLastAttempt(held)) return false;
    const reason = result.action === 'dead-letter' ? result.reason : undefined;
    if (this.#options.broadcasting) {
      this.#reports.error('broadcasting', broadcastingLoss(message));
      return true;
    }
    try {
      await this.#sendBack.send(held, TO_DEAD_LETTERS, reason);
      this.#reports.working('giving messages back');
    } catch (error) {
      this.#reports.failing('giving messages back', error);
      return false;
    }
    this.#reports.emit({
      type: 'dead-lettered',
      message,
      reason: result.action === 'dead-letter' ? reason : `failed ${message.attempt} times`,
    });
    return true;
  }

  #deliverAgain(processQueue: ProcessQueue, held: readonly HeldMessage[]): void {
    for (const message of held) {
      message.message = { ...message.message, attempt: message.message.attempt + 1 };
      processQueue.giveBack(message);
    }
  }

  #suspend(processQueue: ProcessQueue, turn: Turn, ms: number): void {
    turn.suspended = this.#clock.setTimeout(
      () => {
        turn.suspended = undefined;
        this.submit(processQueue);
      },
      Math.min(Math.max(ms, MIN_SUSPEND_MS), MAX_SUSPEND_MS),
    );
  }

  #forget(processQueue: ProcessQueue): void {
    const turn = this.#turns.get(processQueue);
    if (turn === undefined) return;
    this.#clock.clearTimeout(turn.suspended);
    this.#turns.delete(processQueue);
    turn.onRevoked?.();
  }
}

function lockLost({ key }: ProcessQueue): RocketMQError {
  return new RocketMQError(
    'ABORTED',
    `The lock on queue ${key} is lost; another member may handle these messages now. Stop working on them.`,
  );
}
