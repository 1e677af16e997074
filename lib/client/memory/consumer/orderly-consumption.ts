import { RocketMQError } from '../../../message/rocketmq-error.js';
import { atMost, type ClockTimer } from '../../clock.js';
import type { ConsumeResult } from '../../push-consumer.js';
import type { Consumption, ConsumptionContext } from './consumption.js';
import { Dispatcher } from './dispatcher.js';
import { HandlerCall } from './handler-call.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';
import { TO_DEAD_LETTERS } from './send-back.js';

/** Bounds of a queue's pause. Source: ConsumeMessageOrderlyService.submitConsumeRequestLater. */
const MIN_SUSPEND_MS = 10;
const MAX_SUSPEND_MS = 30_000;

interface Turn {
  /** From its begin until its results are dealt with. */
  call: HandlerCall | undefined;
  suspended: ClockTimer;
  /** Set while the queue is to be handed over. */
  onRevoked: (() => void) | undefined;
}

/**
 * Handles one message (or batch) of a queue at a time, in the order of the queue, while its lock is held. A message
 * that fails keeps those behind it.
 */
export class OrderlyConsumption implements Consumption {
  readonly #context: ConsumptionContext;
  readonly #holdsLock: (processQueue: ProcessQueue) => boolean;
  readonly #dispatcher: Dispatcher;
  readonly #turns = new Map<ProcessQueue, Turn>();
  readonly #running = new Set<HandlerCall>();
  readonly #idle = new Set<() => void>();
  #draining = false;

  constructor(context: ConsumptionContext, holdsLock: (processQueue: ProcessQueue) => boolean) {
    this.#context = context;
    this.#holdsLock = holdsLock;
    const { settings, clock } = context;
    this.#dispatcher = new Dispatcher(settings.concurrency, clock, (processQueue) =>
      this.#begin(processQueue),
    );
  }

  get inFlight(): number {
    return this.#running.size;
  }

  submit(processQueue: ProcessQueue): void {
    this.#dispatcher.offer(processQueue);
  }

  /** A call under way may finish and its result counts: the lock is held until then, the next owner begins behind it. */
  async revoke(processQueue: ProcessQueue): Promise<void> {
    const turn = this.#turns.get(processQueue);
    if (turn?.call) {
      const { clock, settings } = this.#context;
      const handedOver = new Promise<void>((resolve) => (turn.onRevoked = resolve));
      await atMost(clock, settings.consumeTimeoutMs, handedOver);
      if (turn.call) this.#giveUp(turn.call, movedOn(processQueue));
    }
    this.abandon(processQueue);
  }

  abandon(processQueue: ProcessQueue): void {
    processQueue.drop();
    const turn = this.#turns.get(processQueue);
    if (!turn) return;
    this.#turns.delete(processQueue);
    this.#context.clock.clearTimeout(turn.suspended);
    // It counts as under way until it ends: there are never more handlers than there may be.
    turn.call?.giveUp(movedOn(processQueue));
    turn.onRevoked?.();
    this.#lookIdle();
  }

  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true;
    this.#dispatcher.close();
    for (const { suspended } of this.#turns.values()) this.#context.clock.clearTimeout(suspended);
    await atMost(this.#context.clock, timeoutMs, this.#whenIdle());
    const reason = new RocketMQError(
      'CLOSED',
      'The consumer closes and waits no longer for this handler; its messages are delivered again. Stop working on them.',
    );
    let abandoned = 0;
    for (const call of this.#running) {
      abandoned += call.held.length;
      this.#giveUp(call, reason);
    }
    return abandoned;
  }

  #begin(processQueue: ProcessQueue): boolean {
    const known = this.#turns.get(processQueue);
    if (known?.call || known?.onRevoked || known?.suspended !== undefined) return false;
    if (!this.#holdsLock(processQueue)) return false;
    const { settings, accept } = this.#context;
    const held = processQueue.take(settings.batchSize, accept, true);
    if (held.length === 0) return false;
    const turn = known ?? { call: undefined, suspended: undefined, onRevoked: undefined };
    turn.call = new HandlerCall(settings.group, processQueue, held);
    this.#turns.set(processQueue, turn);
    this.#running.add(turn.call);
    void this.#run(turn, turn.call);
    return true;
  }

  /** Never rejects. */
  async #run(turn: Turn, call: HandlerCall): Promise<void> {
    const { settings, reports } = this.#context;
    const { processQueue } = call;
    const results = await call.run(settings.handler, (error) => reports.error('handler', error));
    let suspendMs: number | undefined;
    if (this.#running.delete(call)) {
      if (!processQueue.dropped) suspendMs = await this.#settle(call, results);
      this.#dispatcher.ended();
    }
    turn.call = undefined;
    if (suspendMs !== undefined && !processQueue.dropped && !this.#draining) {
      this.#suspend(turn, processQueue, suspendMs);
    }
    turn.onRevoked?.();
    this.#lookIdle();
    this.submit(processQueue);
  }

  /** @returns for how long the queue has to pause because a message was not acknowledged */
  async #settle(
    { processQueue, held }: HandlerCall,
    results: readonly ConsumeResult[],
  ): Promise<number | undefined> {
    const { settings, reports, onRoom } = this.#context;
    for (const [index, message] of held.entries()) {
      const result = results[index]!;
      if (result.action !== 'ack' && !(await this.#buried(message, result))) {
        if (processQueue.dropped) return undefined;
        for (const kept of held.slice(index)) {
          kept.message = { ...kept.message, attempt: kept.message.attempt + 1 };
          processQueue.giveBack(kept);
        }
        const delayMs = result.action === 'retry' ? result.delayMs : undefined;
        if (result.action === 'retry') reports.emit({ type: 'retried', message: message.message, delayMs });
        return delayMs ?? settings.suspendMs;
      }
      if (processQueue.finish(message)) onRoom();
    }
    return undefined;
  }

  /** Puts a message that is to die, or failed too often, into the dead letters; false when it stays. */
  async #buried(held: HeldMessage, result: Exclude<ConsumeResult, { action: 'ack' }>): Promise<boolean> {
    const { settings, reports, sendBack } = this.#context;
    const { message } = held;
    if (result.action === 'retry' && !sendBack.isLastAttempt(message)) return false;
    // Without a retry topic there are no dead letters either.
    if (settings.model === 'clustering') {
      try {
        await sendBack.send(
          held,
          TO_DEAD_LETTERS,
          result.action === 'dead-letter' ? result.reason : undefined,
        );
        reports.working('giving messages back');
      } catch (error) {
        reports.failing('giving messages back', error);
        return false;
      }
    }
    const reason = result.action === 'dead-letter' ? result.reason : `failed ${message.attempt} times`;
    reports.emit({ type: 'dead-lettered', message, reason });
    return true;
  }

  #giveUp(call: HandlerCall, reason: Error): void {
    if (!this.#running.delete(call)) return;
    call.giveUp(reason);
    this.#dispatcher.ended();
  }

  #suspend(turn: Turn, processQueue: ProcessQueue, ms: number): void {
    turn.suspended = this.#context.clock.setTimeout(
      () => {
        turn.suspended = undefined;
        this.submit(processQueue);
      },
      Math.min(Math.max(ms, MIN_SUSPEND_MS), MAX_SUSPEND_MS),
    );
  }

  #isIdle(): boolean {
    if (this.#running.size > 0) return false;
    for (const { call } of this.#turns.values()) if (call) return false;
    return true;
  }

  #whenIdle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }

  #lookIdle(): void {
    if (this.#idle.size === 0 || !this.#isIdle()) return;
    for (const idle of this.#idle) idle();
    this.#idle.clear();
  }
}

function movedOn({ key }: ProcessQueue): RocketMQError {
  return new RocketMQError(
    'ABORTED',
    `Queue ${key} belongs to another member now, which gets these messages again. Stop working on them.`,
  );
}
