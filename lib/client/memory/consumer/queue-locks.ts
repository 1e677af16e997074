import type { ClockTimer } from '../../clock.js';
import type { MessageQueue } from '../../../message/message.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { ProcessQueue } from './process-queue.js';

/** A lock counts for so long after the request that got it was sent. Source: ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME. */
const LOCK_LIVE_MS = 30_000;
/** Source: ProcessQueue.REBALANCE_LOCK_INTERVAL. */
const RENEW_INTERVAL_MS = 20_000;
/** While a renewal fails. */
const RETRY_INTERVAL_MS = 2_000;

/** The broker's locks that make this client the only one to handle a queue. */
export class QueueLocks {
  readonly #context: MemoryClientContext;
  readonly #group: string;
  readonly #reports: ConsumerReports;
  readonly #onLost: (processQueue: ProcessQueue) => void;
  /** Until when, on the monotonic clock. */
  readonly #heldUntil = new Map<ProcessQueue, number>();
  #timer: ClockTimer;
  #closed = false;

  /**
   * @param group as the broker knows it
   * @param onLost somebody else has the lock, or may have
   */
  constructor(
    context: MemoryClientContext,
    group: string,
    reports: ConsumerReports,
    onLost: (processQueue: ProcessQueue) => void,
  ) {
    this.#context = context;
    this.#group = group;
    this.#reports = reports;
    this.#onLost = onLost;
  }

  isHeld(processQueue: ProcessQueue): boolean {
    const until = this.#heldUntil.get(processQueue);
    return until !== undefined && this.#context.clock.monotonic() < until;
  }

  /**
   * @returns until when it is held; undefined while another member has it
   * @throws RocketMQError when the broker cannot be asked
   */
  async lock({ topic, queueId }: MessageQueue): Promise<number | undefined> {
    const { broker, clientId, clock, connection, requestTimeoutMs } = this.#context;
    const until = clock.monotonic() + LOCK_LIVE_MS;
    const locked = await connection.request(
      { kind: 'lock', group: this.#group, topic, queueId },
      () => broker.group(this.#group).lock(clientId, topic, queueId),
      { timeoutMs: requestTimeoutMs },
    );
    return locked ? until : undefined;
  }

  /** Keeps it from now on. */
  keep(processQueue: ProcessQueue, until: number): void {
    if (this.#closed) return;
    this.#heldUntil.set(processQueue, until);
    this.#timer ??= this.#arm(RENEW_INTERVAL_MS);
  }

  /** Lets the next owner have it; what fails expires by itself. Never rejects. */
  async unlock(queue: MessageQueue): Promise<void> {
    const { broker, clientId, connection, requestTimeoutMs } = this.#context;
    const { topic, queueId } = queue;
    try {
      await connection.request(
        { kind: 'unlock', group: this.#group, topic, queueId },
        () => broker.unlockQueue(this.#group, clientId, topic, queueId),
        { timeoutMs: requestTimeoutMs },
      );
    } catch (error) {
      this.#context.log(
        'debug',
        `Queue ${queueId} of "${topic}" stays locked until its lock expires.`,
        error,
      );
    }
  }

  forget(processQueue: ProcessQueue): void {
    this.#heldUntil.delete(processQueue);
  }

  close(): void {
    this.#closed = true;
    this.#context.clock.clearTimeout(this.#timer);
    this.#heldUntil.clear();
  }

  #arm(ms: number): ClockTimer {
    return this.#context.clock.setTimeout(() => {
      void this.#renewAll().then((renewed) => {
        this.#timer = undefined;
        if (!this.#closed && this.#heldUntil.size > 0) {
          this.#timer = this.#arm(renewed ? RENEW_INTERVAL_MS : RETRY_INTERVAL_MS);
        }
      });
    }, ms);
  }

  /** Never rejects. */
  async #renewAll(): Promise<boolean> {
    let renewed = true;
    for (const processQueue of Array.from(this.#heldUntil.keys())) {
      if (!(await this.#renew(processQueue))) renewed = false;
    }
    return renewed;
  }

  async #renew(processQueue: ProcessQueue): Promise<boolean> {
    const context = `renewing the lock of ${processQueue.key}`;
    try {
      const until = await this.lock(processQueue.queue);
      this.#reports.working(context);
      if (this.#heldUntil.has(processQueue)) {
        if (until === undefined) this.#lose(processQueue);
        else this.#heldUntil.set(processQueue, until);
      } else if (until !== undefined && !this.#closed) {
        // Handed over while the broker was asked: the renewal may have come behind the unlock.
        await this.unlock(processQueue.queue);
      }
      return true;
    } catch (error) {
      this.#reports.failing(context, error);
      if (this.#heldUntil.has(processQueue) && !this.isHeld(processQueue)) this.#lose(processQueue);
      return false;
    }
  }

  #lose(processQueue: ProcessQueue): void {
    this.#heldUntil.delete(processQueue);
    this.#onLost(processQueue);
  }
}
