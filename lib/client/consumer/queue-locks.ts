import type { MessageQueue } from '../../message/message.js';
import type { Clock, ClockTimer } from '../clock.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { ProcessQueue } from './process-queue.js';
import { queueKey } from './queue-key.js';

/** A lock counts for so long after the request that got it was sent; brokers keep it for 60 s. Source: ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME, RebalanceLockManager. */
const LOCK_LIVE_MS = 30_000;
/** Source: ProcessQueue.REBALANCE_LOCK_INTERVAL. */
const RENEW_INTERVAL_MS = 20_000;
/** What an answer about locks may take, milliseconds. They expire: better to ask again than to wait. */
export const LOCK_TIMEOUT_MS = 3_000;
/** While a renewal fails, it is tried again after this time, until the lock has expired. */
const RETRY_INTERVAL_MS = 2_000;

type LockRequests = Pick<ConsumerBroker, 'lockQueues' | 'unlockQueues'>;

/**
 * The broker's locks that make this client the only one to handle a queue: got before the queue is pulled, renewed,
 * and given up in time when renewing fails. (Java: the lock part of `RebalanceImpl` and `ConsumeMessageOrderlyService`.)
 */
export class QueueLocks {
  readonly #requests: LockRequests;
  readonly #clock: Clock;
  readonly #reports: ConsumerReports;
  readonly #onLost: (processQueue: ProcessQueue) => void;
  /** Until when, on the monotonic clock. */
  readonly #heldUntil = new Map<ProcessQueue, number>();
  #timer: ClockTimer;
  #closed = false;

  /** @param onLost the lock went to somebody else, or may have: stop handling now */
  constructor(
    requests: LockRequests,
    clock: Clock,
    reports: ConsumerReports,
    onLost: (processQueue: ProcessQueue) => void,
  ) {
    this.#requests = requests;
    this.#clock = clock;
    this.#reports = reports;
    this.#onLost = onLost;
  }

  isHeld(processQueue: ProcessQueue): boolean {
    const until = this.#heldUntil.get(processQueue);
    return until !== undefined && this.#clock.monotonic() < until;
  }

  /**
   * @returns until when the lock is held, or undefined when another member has it
   * @throws RocketMQError when the broker cannot be asked
   */
  async lock(queue: MessageQueue): Promise<number | undefined> {
    const until = this.#clock.monotonic() + LOCK_LIVE_MS;
    const locked = await this.#requests.lockQueues(queue.brokerName, [queue]);
    const key = queueKey(queue);
    return locked.some((candidate) => queueKey(candidate) === key) ? until : undefined;
  }

  /** Keeps the lock from now on. */
  keep(processQueue: ProcessQueue, until: number): void {
    if (this.#closed) return;
    this.#heldUntil.set(processQueue, until);
    if (this.#timer === undefined) this.#arm(RENEW_INTERVAL_MS);
  }

  /** The queue begins anew at another offset, under the same lock. */
  replace(processQueue: ProcessQueue, successor: ProcessQueue): void {
    const until = this.#heldUntil.get(processQueue);
    this.#heldUntil.delete(processQueue);
    if (until !== undefined) this.keep(successor, until);
  }

  /** Lets the next owner have it. What fails expires by itself. Never rejects. */
  async unlock(queues: readonly ProcessQueue[]): Promise<void> {
    for (const processQueue of queues) this.#heldUntil.delete(processQueue);
    await Promise.all(
      [...byBroker(queues)].map(async ([brokerName, ofBroker]) => {
        try {
          await this.#requests.unlockQueues(
            brokerName,
            ofBroker.map(({ queue }) => queue),
          );
        } catch (error) {
          this.#reports.debug(`Queues of broker "${brokerName}" stay locked until the lock expires.`, error);
        }
      }),
    );
  }

  /** The queue is no longer ours; there is nothing to unlock. */
  forget(processQueue: ProcessQueue): void {
    this.#heldUntil.delete(processQueue);
  }

  close(): void {
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
    this.#heldUntil.clear();
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => {
      void this.#renewAll().then((renewed) => {
        this.#timer = undefined;
        if (!this.#closed && this.#heldUntil.size > 0)
          this.#arm(renewed ? RENEW_INTERVAL_MS : RETRY_INTERVAL_MS);
      });
    }, ms);
  }

  /** Never rejects. */
  async #renewAll(): Promise<boolean> {
    const results = await Promise.all(
      [...byBroker(this.#heldUntil.keys())].map(([brokerName, queues]) => this.#renew(brokerName, queues)),
    );
    return results.every(Boolean);
  }

  async #renew(brokerName: string, queues: readonly ProcessQueue[]): Promise<boolean> {
    const context = `renewing locks at ${brokerName}`;
    const until = this.#clock.monotonic() + LOCK_LIVE_MS;
    // After a pause of the whole process, somebody else may have had the queue in between.
    const expired = new Set(queues.filter((processQueue) => !this.isHeld(processQueue)));
    try {
      const locked = await this.#requests.lockQueues(
        brokerName,
        queues.map(({ queue }) => queue),
      );
      this.#reports.working(context);
      const keys = new Set(locked.map(queueKey));
      const released: ProcessQueue[] = [];
      for (const processQueue of queues) {
        const ours = keys.has(processQueue.key);
        if (!this.#heldUntil.has(processQueue)) {
          if (ours) released.push(processQueue);
        } else if (ours && !expired.has(processQueue)) {
          this.#heldUntil.set(processQueue, until);
        } else {
          this.#lose(processQueue);
        }
      }
      // Handed over while the broker was asked: the renewal may have come behind the unlock.
      if (released.length > 0 && !this.#closed) await this.unlock(released);
      return true;
    } catch (error) {
      this.#reports.failing(context, error);
      for (const processQueue of queues) {
        if (this.#heldUntil.has(processQueue) && !this.isHeld(processQueue)) this.#lose(processQueue);
      }
      return false;
    }
  }

  #lose(processQueue: ProcessQueue): void {
    this.#heldUntil.delete(processQueue);
    this.#onLost(processQueue);
  }
}

function byBroker(queues: Iterable<ProcessQueue>): Map<string, ProcessQueue[]> {
  const brokers = new Map<string, ProcessQueue[]>();
  for (const processQueue of queues) {
    const { brokerName } = processQueue.queue;
    const known = brokers.get(brokerName);
    if (known) known.push(processQueue);
    else brokers.set(brokerName, [processQueue]);
  }
  return brokers;
}
