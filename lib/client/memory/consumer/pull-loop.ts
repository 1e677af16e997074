import { RocketMQError } from '../../../message/rocketmq-error.js';
import { pause } from '../../clock.js';
import type { MessageMatcher } from '../filter/message-matcher.js';
import type { PullAnswer } from '../memory-broker.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import { messageIdOf, toReceivedMessage, type StoredMessage } from '../stored-message.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { FlowControl } from './flow-control.js';
import type { HeldMessage, ProcessQueue } from './process-queue.js';

/** Reason of aborts nobody hears of; without one a DOMException with a stack is made each time. */
const OVER = 'over';
/** After a pull that failed. */
const RETRY_DELAY_MS = 1_000;
/** What an answer may take beyond the time the broker may hold the pull. Source: CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND. */
const ANSWER_GRACE_MS = 15_000;

export interface PullLoopOptions {
  /** As the broker knows it. */
  readonly group: string;
  readonly batchSize: number;
  readonly longPollingMs: number;
  /** What is wanted of the topic now; undefined when it is no longer subscribed. */
  readonly matcher: (topic: string) => MessageMatcher | undefined;
  /** Messages came in. */
  readonly onMessages: (processQueue: ProcessQueue) => void;
}

/** Keeps one pull open per queue, one after the other, and puts what comes into the process queue. */
export class PullLoop {
  readonly #context: MemoryClientContext;
  readonly #flow: FlowControl;
  readonly #reports: ConsumerReports;
  readonly #options: PullLoopOptions;
  readonly #stops = new Map<ProcessQueue, AbortController>();

  constructor(
    context: MemoryClientContext,
    flow: FlowControl,
    reports: ConsumerReports,
    options: PullLoopOptions,
  ) {
    this.#context = context;
    this.#flow = flow;
    this.#reports = reports;
    this.#options = options;
  }

  start(processQueue: ProcessQueue): void {
    const stop = new AbortController();
    this.#stops.set(processQueue, stop);
    void this.#run(processQueue, stop.signal);
  }

  stop(processQueue: ProcessQueue): void {
    this.#stops.get(processQueue)?.abort(OVER);
    this.#stops.delete(processQueue);
  }

  stopAll(): void {
    for (const processQueue of this.#stops.keys()) this.stop(processQueue);
  }

  /** Never rejects. */
  async #run(processQueue: ProcessQueue, signal: AbortSignal): Promise<void> {
    const context = `pulling ${processQueue.key}`;
    while (!signal.aborted) {
      await this.#flow.room(processQueue, signal);
      if (signal.aborted) return;
      try {
        await this.#pull(processQueue, signal);
        this.#reports.working(context);
      } catch (error) {
        if (signal.aborted) return;
        this.#reports.failing(context, error);
        await pause(this.#context.clock, RETRY_DELAY_MS, signal);
      }
    }
  }

  async #pull(processQueue: ProcessQueue, signal: AbortSignal): Promise<void> {
    const { broker, connection } = this.#context;
    const { group, batchSize, longPollingMs } = this.#options;
    const { topic, queueId } = processQueue.queue;
    const read = (): PullAnswer => broker.read(topic, queueId, processQueue.nextOffset, batchSize);
    let hold: AbortController | undefined;
    const release = (): void => hold?.abort(OVER);
    try {
      const answer = await connection.request(
        { kind: 'pull', group, topic, queueId },
        async () => {
          const found = read();
          if (found.messages.length > 0) return found;
          // Ends when there is something, or when the caller does not wait any more.
          hold = new AbortController();
          signal.addEventListener('abort', release, { once: true });
          await broker.whenArrived(topic, queueId, found.nextOffset, hold.signal);
          connection.assertUp('pull');
          return read();
        },
        { timeoutMs: longPollingMs + ANSWER_GRACE_MS, signal },
      );
      if (!signal.aborted) this.#take(processQueue, answer.messages, answer.nextOffset);
    } catch (error) {
      // As a broker that has nothing to say: ask again.
      if (!(error instanceof RocketMQError && error.code === 'TIMEOUT')) throw error;
    } finally {
      signal.removeEventListener('abort', release);
      release();
    }
  }

  #take(processQueue: ProcessQueue, messages: readonly StoredMessage[], nextOffset: number): void {
    const matches = this.#options.matcher(processQueue.queue.topic);
    if (!matches) return;
    const wanted: Pick<HeldMessage, 'message' | 'stored'>[] = [];
    for (const stored of messages) {
      if (matches(stored.properties)) this.#deliver(stored, wanted);
    }
    processQueue.put(wanted, nextOffset);
    if (wanted.length > 0) this.#options.onMessages(processQueue);
  }

  #deliver(stored: StoredMessage, wanted: Pick<HeldMessage, 'message' | 'stored'>[]): void {
    const { broker, clientId, namespace } = this.#context;
    const { topic, queueId, queueOffset, reconsumeTimes } = stored;
    const fault = broker.settings.faults.onDeliver?.({
      clientId,
      group: this.#options.group,
      topic,
      queueId,
      queueOffset,
      messageId: messageIdOf(stored.properties),
      attempt: reconsumeTimes + 1,
    });
    const copies = Math.max(1, fault?.copies ?? 1);
    for (let copy = 0; copy < copies; copy++) {
      wanted.push({
        message: toReceivedMessage(stored, broker.name, (name) => namespace.unwrap(name)),
        stored,
      });
    }
  }
}
