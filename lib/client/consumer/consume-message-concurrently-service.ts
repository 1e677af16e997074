import { RocketMQError } from '../../message/rocketmq-error.js';
import { atMost, type Clock, type ClockTimer } from '../clock.js';
import type { ConsumeResult, MessageHandler } from '../push-consumer.js';
import { broadcastingLoss } from './broadcasting-loss.js';
import type { ConsumeMessageService, ConsumeServiceOptions } from './consume-message-service.js';
import { ConsumeTimeout } from './consume-timeout.js';
import type { ConsumerReports } from './consumer-reports.js';
import { BY_SCHEDULE, delayLevelFor, TO_DEAD_LETTERS } from './delay-level.js';
import { FairDispatcher } from './fair-dispatcher.js';
import type { HandlerCall } from './handler-call.js';
import { HandlerCalls, resultsOf, type CallOutcome } from './handler-calls.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';
import type { SendBack } from './send-back.js';

/** When no broker takes a message back, it is handled here again after this time. Source: ConsumeMessageConcurrentlyService.submitConsumeRequestLater. */
const LOCAL_RETRY_MS = 5_000;

/** Handles messages of all queues at the same time, in any order. (Java: `ConsumeMessageConcurrentlyService`.) */
export class ConsumeMessageConcurrentlyService implements ConsumeMessageService {
  readonly #options: ConsumeServiceOptions;
  readonly #clock: Clock;
  readonly #reports: ConsumerReports;
  readonly #sendBack: Pick<SendBack, 'send' | 'isLastAttempt'>;
  readonly #calls: HandlerCalls;
  readonly #dispatcher: FairDispatcher;
  readonly #timeout: ConsumeTimeout;
  readonly #localRetries = new Set<ClockTimer>();
  /** Handlers that run on although their time was up. Those above `concurrency` keep their place. */
  #overdue = 0;
  #sendingBack = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(
    options: ConsumeServiceOptions,
    handler: MessageHandler,
    clock: Clock,
    reports: ConsumerReports,
    sendBack: Pick<SendBack, 'send' | 'isLastAttempt'>,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#reports = reports;
    this.#sendBack = sendBack;
    this.#calls = new HandlerCalls(
      options.group,
      handler,
      clock,
      (call, outcome) => this.#ended(call, outcome),
      () => this.#outlived(),
    );
    this.#dispatcher = new FairDispatcher(options.concurrency, clock, (processQueue) =>
      this.#begin(processQueue),
    );
    this.#timeout = new ConsumeTimeout(options.consumeTimeoutMs, clock, this.#calls, (call) =>
      this.#expire(call),
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  submit(processQueue: ProcessQueue): void {
    this.#dispatcher.offer(processQueue);
  }

  async revoke(processQueue: ProcessQueue): Promise<void> {
    processQueue.drop();
    this.abandon(processQueue);
  }

  abandon(processQueue: ProcessQueue): void {
    this.#calls.abortQueue(
      processQueue,
      new RocketMQError(
        'ABORTED',
        `Queue ${processQueue.key} went to another member, which gets these messages again. Stop working on them.`,
      ),
    );
  }

  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true;
    this.#dispatcher.close();
    for (const timer of this.#localRetries) this.#clock.clearTimeout(timer);
    this.#localRetries.clear();
    if (!this.#idle) {
      await atMost(this.#clock, timeoutMs, new Promise<void>((resolve) => (this.#onIdle = resolve)));
    }
    this.#timeout.close();
    return this.#calls.giveUpAll();
  }

  get #idle(): boolean {
    return this.#calls.size === 0 && this.#sendingBack === 0;
  }

  #begin(processQueue: ProcessQueue): boolean {
    const held = processQueue.take(this.#options.batchSize, this.#options.accept);
    if (held.length === 0) return false;
    this.#calls.begin(processQueue, held);
    this.#timeout.watch();
    return true;
  }

  #ended(call: HandlerCall, outcome: CallOutcome): void {
    // A result that comes after the queue was dropped is nobody's business any more.
    if (outcome.type !== 'given-up' && !call.processQueue.dropped) this.#process(call, outcome);
    if (outcome.type !== 'given-up' || this.#draining || this.#mayRunOn()) this.#dispatcher.ended();
    if (this.#draining) this.#lookIdle();
  }

  /**
   * The place of a handler whose time is up goes to another message. Not without end: with as many overdue handlers as
   * handlers may run, each further one keeps its place until one of them ends.
   */
  #mayRunOn(): boolean {
    this.#overdue++;
    if (this.#overdue <= this.#options.concurrency) return true;
    this.#reports.error('handler', tooManyOverdue(this.#overdue, this.#options.consumeTimeoutMs));
    return false;
  }

  #outlived(): void {
    const keptPlace = this.#overdue > this.#options.concurrency;
    this.#overdue--;
    if (keptPlace) this.#dispatcher.ended();
  }

  #process({ processQueue, held }: HandlerCall, outcome: Exclude<CallOutcome, { type: 'given-up' }>): void {
    if (outcome.type === 'failed') this.#reports.error('handler', outcome.error);
    const results = resultsOf(outcome, held.length, (error) => this.#reports.error('handler', error));
    for (let index = 0; index < held.length; index++) {
      const message = held[index];
      const result = results[index];
      if (message === undefined || result === undefined) continue;
      if (result.action === 'ack') this.#finish(processQueue, message);
      else this.#refused(processQueue, message, result);
    }
  }

  #finish(processQueue: ProcessQueue, held: HeldMessage): void {
    if (processQueue.finish(held)) this.#options.onRoom();
  }

  #refused(
    processQueue: ProcessQueue,
    held: HeldMessage,
    result: Exclude<ConsumeResult, { action: 'ack' }>,
  ): void {
    if (this.#options.broadcasting) {
      this.#reports.error('broadcasting', broadcastingLoss(held.message));
      this.#finish(processQueue, held);
    } else if (result.action === 'dead-letter') {
      void this.#giveBack(processQueue, held, TO_DEAD_LETTERS, result.reason);
    } else {
      void this.#giveBack(processQueue, held, BY_SCHEDULE, undefined, result.delayMs);
    }
  }

  #expire(call: HandlerCall): void {
    const reason = new RocketMQError(
      'TIMEOUT',
      `A handler ran longer than ${this.#options.consumeTimeoutMs} ms; its messages were sent back for another delivery. Raise consumeTimeoutMs or make it faster.`,
    );
    const { processQueue, held } = call;
    this.#calls.giveUp(call, reason);
    if (processQueue.dropped) return;
    this.#reports.error('handler', reason);
    for (const message of held) {
      this.#reports.emit({ type: 'consume-timeout', message: message.message });
      if (this.#options.broadcasting) this.#finish(processQueue, message);
      else void this.#giveBack(processQueue, message, BY_SCHEDULE);
    }
  }

  /** Never rejects. */
  async #giveBack(
    processQueue: ProcessQueue,
    held: HeldMessage,
    level: number,
    reason?: string,
    delayMs?: number,
  ): Promise<void> {
    const { message } = held;
    this.#sendingBack++;
    try {
      await this.#sendBack.send(held, delayMs === undefined ? level : delayLevelFor(delayMs), reason);
      this.#reports.working('giving messages back');
      if (level === TO_DEAD_LETTERS) this.#reports.emit({ type: 'dead-lettered', message, reason });
      else if (this.#sendBack.isLastAttempt(held)) {
        this.#reports.emit({ type: 'dead-lettered', message, reason: `failed ${message.attempt} times` });
      } else this.#reports.emit({ type: 'retried', message, delayMs });
      this.#finish(processQueue, held);
    } catch (error) {
      this.#reports.failing('giving messages back', error);
      if (!processQueue.dropped) this.#retryHere(processQueue, held);
    } finally {
      this.#sendingBack--;
      if (this.#draining) this.#lookIdle();
    }
  }

  #retryHere(processQueue: ProcessQueue, held: HeldMessage): void {
    if (this.#draining) return;
    held.state = 'resting';
    const timer = this.#clock.setTimeout(() => {
      this.#localRetries.delete(timer);
      held.message = { ...held.message, attempt: held.message.attempt + 1 };
      processQueue.giveBack(held);
      this.submit(processQueue);
    }, LOCAL_RETRY_MS);
    this.#localRetries.add(timer);
  }

  #lookIdle(): void {
    if (this.#idle) this.#onIdle?.();
  }
}

function tooManyOverdue(count: number, consumeTimeoutMs: number): RocketMQError {
  return new RocketMQError(
    'TIMEOUT',
    `${count} handlers run on although their ${consumeTimeoutMs} ms are over, and no more may; messages wait until one of them ends. Let handlers stop when their signal tells them to.`,
  );
}
