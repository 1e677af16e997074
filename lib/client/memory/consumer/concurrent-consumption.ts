import { RocketMQError } from '../../../message/rocketmq-error.js';
import { atMost, type ClockTimer } from '../../clock.js';
import type { ConsumeResult } from '../../push-consumer.js';
import type { Consumption, ConsumptionContext } from './consumption.js';
import { Dispatcher } from './dispatcher.js';
import { HandlerCall } from './handler-call.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';
import { BY_SCHEDULE, delayLevelFor, TO_DEAD_LETTERS } from './send-back.js';

/** When the broker does not take a message back, it is handled here again after this time. Source: ConsumeMessageConcurrentlyService.submitConsumeRequestLater. */
const LOCAL_RETRY_MS = 5_000;

type Refusal = Exclude<ConsumeResult, { action: 'ack' }>;

/** Handles messages of all queues at the same time, in any order. */
export class ConcurrentConsumption implements Consumption {
  readonly #context: ConsumptionContext;
  readonly #dispatcher: Dispatcher;
  readonly #calls = new Map<HandlerCall, ClockTimer>();
  readonly #localRetries = new Set<ClockTimer>();
  readonly #idle = new Set<() => void>();
  #sendingBack = 0;
  #draining = false;

  constructor(context: ConsumptionContext) {
    this.#context = context;
    const { settings, clock } = context;
    this.#dispatcher = new Dispatcher(settings.concurrency, clock, (processQueue) =>
      this.#begin(processQueue),
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  submit(processQueue: ProcessQueue): void {
    this.#dispatcher.offer(processQueue);
  }

  revoke(processQueue: ProcessQueue): Promise<void> {
    this.abandon(processQueue);
    return Promise.resolve();
  }

  abandon(processQueue: ProcessQueue): void {
    processQueue.drop();
    const reason = new RocketMQError(
      'ABORTED',
      `Queue ${processQueue.key} went to another member, which gets these messages again. Stop working on them.`,
    );
    // They count as under way until they end: there are never more handlers than there may be.
    for (const call of this.#calls.keys()) {
      if (call.processQueue === processQueue) call.giveUp(reason);
    }
  }

  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true;
    this.#dispatcher.close();
    for (const timer of this.#localRetries) this.#context.clock.clearTimeout(timer);
    await atMost(this.#context.clock, timeoutMs, this.#whenIdle());
    const reason = new RocketMQError(
      'CLOSED',
      'The consumer closes and waits no longer for this handler; its messages are delivered again. Stop working on them.',
    );
    let abandoned = 0;
    for (const call of this.#calls.keys()) {
      abandoned += call.held.length;
      this.#giveUp(call, reason);
    }
    return abandoned;
  }

  #begin(processQueue: ProcessQueue): boolean {
    const { settings, clock, accept } = this.#context;
    const held = processQueue.take(settings.batchSize, accept, false);
    if (held.length === 0) return false;
    const call = new HandlerCall(settings.group, processQueue, held);
    this.#calls.set(
      call,
      clock.setTimeout(() => this.#expire(call), settings.consumeTimeoutMs),
    );
    void this.#run(call);
    return true;
  }

  /** Never rejects. */
  async #run(call: HandlerCall): Promise<void> {
    const { settings, reports } = this.#context;
    const results = await call.run(settings.handler, (error) => reports.error('handler', error));
    if (!this.#remove(call)) return;
    // A result that comes after the queue was dropped is nobody's business any more.
    for (const [index, held] of call.processQueue.dropped ? [] : call.held.entries()) {
      const result = results[index]!;
      if (result.action === 'ack') this.#finish(call.processQueue, held);
      else this.#refused(call.processQueue, held, result);
    }
    this.#dispatcher.ended();
    this.#lookIdle();
  }

  #giveUp(call: HandlerCall, reason: Error): void {
    if (!this.#remove(call)) return;
    call.giveUp(reason);
    this.#dispatcher.ended();
    this.#lookIdle();
  }

  /** False when it ended before. */
  #remove(call: HandlerCall): boolean {
    this.#context.clock.clearTimeout(this.#calls.get(call));
    return this.#calls.delete(call);
  }

  #finish(processQueue: ProcessQueue, held: HeldMessage): void {
    if (processQueue.finish(held)) this.#context.onRoom();
  }

  #refused(processQueue: ProcessQueue, held: HeldMessage, result: Refusal): void {
    if (processQueue.dropped) return;
    if (this.#context.settings.model === 'broadcasting') {
      this.#lose(processQueue, held);
      return;
    }
    if (result.action === 'dead-letter') {
      void this.#giveBack(processQueue, held, TO_DEAD_LETTERS, result);
    } else {
      const level = result.delayMs === undefined ? BY_SCHEDULE : delayLevelFor(result.delayMs);
      void this.#giveBack(processQueue, held, level, result);
    }
  }

  /** There is no retry topic for broadcasting: the broker does not know which member failed. */
  #lose(processQueue: ProcessQueue, held: HeldMessage): void {
    const { messageId, topic } = held.message;
    this.#context.reports.error(
      'broadcasting',
      new RocketMQError(
        'UNSUPPORTED',
        `Message ${messageId} of "${topic}" was not acknowledged and is lost for this member: broadcasting has no retry. Retry inside the handler.`,
      ),
    );
    this.#finish(processQueue, held);
  }

  #expire(call: HandlerCall): void {
    const { settings, reports } = this.#context;
    const reason = new RocketMQError(
      'TIMEOUT',
      `A handler ran longer than ${settings.consumeTimeoutMs} ms; its messages were sent back for another delivery. Raise consumeTimeoutMs or make it faster.`,
    );
    this.#giveUp(call, reason);
    if (call.processQueue.dropped) return;
    reports.error('handler', reason);
    for (const held of call.held) {
      reports.emit({ type: 'consume-timeout', message: held.message });
      this.#refused(call.processQueue, held, { action: 'retry' });
    }
  }

  /** Never rejects. */
  async #giveBack(
    processQueue: ProcessQueue,
    held: HeldMessage,
    level: number,
    result: Refusal,
  ): Promise<void> {
    const { reports, sendBack } = this.#context;
    const { message } = held;
    this.#sendingBack++;
    try {
      const dead = await sendBack.send(
        held,
        level,
        result.action === 'dead-letter' ? result.reason : undefined,
      );
      reports.working('giving messages back');
      if (result.action === 'dead-letter') {
        reports.emit({ type: 'dead-lettered', message, reason: result.reason });
      } else if (dead) {
        reports.emit({ type: 'dead-lettered', message, reason: `failed ${message.attempt} times` });
      } else {
        reports.emit({ type: 'retried', message, delayMs: result.delayMs });
      }
      this.#finish(processQueue, held);
    } catch (error) {
      reports.failing('giving messages back', error);
      if (!processQueue.dropped && !this.#draining) this.#retryHere(processQueue, held);
    }
    this.#sendingBack--;
    this.#lookIdle();
  }

  #retryHere(processQueue: ProcessQueue, held: HeldMessage): void {
    held.state = 'resting';
    const timer = this.#context.clock.setTimeout(() => {
      this.#localRetries.delete(timer);
      held.message = { ...held.message, attempt: held.message.attempt + 1 };
      processQueue.giveBack(held);
      this.submit(processQueue);
    }, LOCAL_RETRY_MS);
    this.#localRetries.add(timer);
  }

  #whenIdle(): Promise<void> {
    if (this.#calls.size === 0 && this.#sendingBack === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }

  #lookIdle(): void {
    if (this.#calls.size > 0 || this.#sendingBack > 0) return;
    for (const idle of this.#idle) idle();
    this.#idle.clear();
  }
}
