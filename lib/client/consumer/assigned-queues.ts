import type { MessageQueue } from '../../message/message.js';
import { atMost, type Clock } from '../clock.js';
import type { ConsumeMessageService } from './consume-message-service.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { CommittableOffset, OffsetStore } from './offset-store.js';
import { ProcessQueue } from './process-queue.js';
import type { PullMessageService } from './pull-message-service.js';
import { queueKey } from './queue-key.js';
import type { QueueLocks } from './queue-locks.js';

/** How long the end of a consumer waits for brokers that do not answer, milliseconds. */
const FAREWELL_MS = 3_000;

export interface AssignedQueuesOptions {
  readonly clock: Clock;
  readonly reports: ConsumerReports;
  readonly offsets: OffsetStore;
  /** Orderly consumers of clustering groups need the broker's lock on a queue; others pass undefined. */
  readonly locks: QueueLocks | undefined;
  readonly service: ConsumeMessageService;
  readonly pulls: PullMessageService;
  /** @throws RocketMQError when it cannot be told now */
  readonly startOffset: (queue: MessageQueue) => Promise<number>;
  /** Whether the topic is still subscribed. */
  readonly isSubscribed: (topic: string) => boolean;
  /** The share of a topic changed. */
  readonly onAssigned: (topic: string) => void;
}

/** The queues this member owns, and how it takes them over and hands them on. (Java: `RebalancePushImpl`.) */
export class AssignedQueues {
  readonly #options: AssignedQueuesOptions;
  readonly #queues = new Map<string, ProcessQueue>();
  /** Being taken over or handed on right now. */
  readonly #changing = new Set<string>();
  #closed = false;

  constructor(options: AssignedQueuesOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): IterableIterator<ProcessQueue> {
    return this.#queues.values();
  }

  /**
   * Makes these the queues of the topic: hands the others on, takes over what is new.
   *
   * @returns whether all are here; false when another member still holds one or its offset cannot be read now
   */
  async assign(topic: string, queues: readonly MessageQueue[]): Promise<boolean> {
    const wanted = new Map(queues.map((queue) => [queueKey(queue), queue]));
    const leaving = this.#keysOf(topic).filter((key) => !wanted.has(key));
    if (leaving.length > 0) {
      // A handler of an orderly consumer may take its time; the others need not wait.
      void Promise.all(leaving.map((key) => this.#handOn(key))).then(() => this.#options.onAssigned(topic));
    }
    const taken = await Promise.all([...wanted].map(([key, queue]) => this.#takeOver(key, queue)));
    if (taken.some(Boolean)) this.#options.onAssigned(topic);
    return [...wanted.keys()].every((key) => this.#queues.has(key) && !this.#changing.has(key));
  }

  /** Hands on every queue of the topic; resolves when none is handled any more. */
  async release(topic: string): Promise<void> {
    await Promise.all(this.#keysOf(topic).map((key) => this.#handOn(key)));
    this.#options.onAssigned(topic);
  }

  /** Gives the queue up at once: another member has the lock. */
  lose(processQueue: ProcessQueue): void {
    if (this.#queues.get(processQueue.key) !== processQueue) return;
    this.#drop(processQueue);
    this.#options.onAssigned(processQueue.queue.topic);
  }

  /** Begins the queue anew at another offset. What is held or being handled no longer matters. */
  async reset(processQueue: ProcessQueue, offset: number): Promise<void> {
    const { key, queue } = processQueue;
    if (this.#queues.get(key) !== processQueue || this.#changing.has(key)) return;
    const { locks, offsets, reports, service } = this.#options;
    this.#changing.add(key);
    this.#options.pulls.stop(processQueue);
    await service.revoke(processQueue);
    if (this.#queues.get(key) !== processQueue || this.#closed) {
      this.#changing.delete(key);
      return;
    }
    const successor = new ProcessQueue(queue, offset);
    locks?.replace(processQueue, successor);
    this.#queues.set(key, successor);
    try {
      await offsets.persist([{ queue, offset }]);
    } catch (error) {
      reports.error(`storing the new offset of ${key}`, error);
    } finally {
      this.#changing.delete(key);
    }
    if (!successor.dropped && !this.#closed) this.#options.pulls.start(successor);
  }

  /** What may be committed now. Without the lock on a queue, the offset is another member's affair. */
  committable(): CommittableOffset[] {
    const { locks } = this.#options;
    return Array.from(this.#queues.values())
      .filter((processQueue) => !locks || locks.isHeld(processQueue))
      .map(({ queue, committableOffset: offset }) => ({ queue, offset }));
  }

  /** Stores offsets and lets go of every queue. Handlers have ended or were given up before. */
  async close(): Promise<void> {
    this.#closed = true;
    const { clock, locks, offsets, pulls, reports, service } = this.#options;
    const queues = [...this.#queues.values()];
    for (const processQueue of queues) {
      processQueue.drop();
      pulls.stop(processQueue);
      service.abandon(processQueue);
    }
    const farewell = async (): Promise<void> => {
      try {
        await offsets.persist(this.committable());
      } catch (error) {
        reports.error('storing offsets at the end', error);
      }
      await locks?.unlock(queues);
    };
    await atMost(clock, FAREWELL_MS, farewell());
    locks?.close();
    this.#queues.clear();
  }

  #keysOf(topic: string): string[] {
    return Array.from(this.#queues.values())
      .filter(({ queue }) => queue.topic === topic)
      .map(({ key }) => key)
      .sort();
  }

  /** Resolves with whether the queue is new here. Never rejects. */
  async #takeOver(key: string, queue: MessageQueue): Promise<boolean> {
    if (this.#queues.has(key) || this.#changing.has(key) || this.#closed) return false;
    const { isSubscribed, locks, pulls, reports, startOffset } = this.#options;
    const context = `taking over ${key}`;
    this.#changing.add(key);
    try {
      let lockedUntil = 0;
      if (locks) {
        const until = await locks.lock(queue);
        // Its owner of before has not handed it on yet.
        if (until === undefined) return false;
        lockedUntil = until;
      }
      const processQueue = new ProcessQueue(queue, await startOffset(queue));
      if (this.#closed || !isSubscribed(queue.topic)) {
        await locks?.unlock([processQueue]);
        return false;
      }
      this.#queues.set(key, processQueue);
      locks?.keep(processQueue, lockedUntil);
      pulls.start(processQueue);
      reports.working(context);
      return true;
    } catch (error) {
      if (!this.#closed) reports.failing(context, error);
      return false;
    } finally {
      this.#changing.delete(key);
    }
  }

  /** Never rejects. */
  async #handOn(key: string): Promise<void> {
    const processQueue = this.#queues.get(key);
    if (!processQueue || this.#changing.has(key)) return;
    const { locks, offsets, reports, service } = this.#options;
    this.#changing.add(key);
    await service.revoke(processQueue);
    // Unless the lock was lost meanwhile: then its new owner decides about the offset.
    if (this.#queues.get(key) === processQueue) {
      const { queue, committableOffset: offset } = processQueue;
      this.#drop(processQueue);
      try {
        await offsets.persist([{ queue, offset }]);
      } catch (error) {
        if (!this.#closed) reports.error(`handing on ${key}`, error);
      }
      await locks?.unlock([processQueue]);
      offsets.forget(queue);
    }
    this.#changing.delete(key);
  }

  #drop(processQueue: ProcessQueue): void {
    processQueue.drop();
    this.#queues.delete(processQueue.key);
    this.#options.locks?.forget(processQueue);
    this.#options.pulls.stop(processQueue);
    this.#options.service.abandon(processQueue);
  }
}
