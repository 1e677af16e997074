import { atMost } from '../../clock.js';
import type { MessageQueue } from '../../../message/message.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { Consumption } from './consumption.js';
import type { OffsetKeeper } from './offset-keeper.js';
import { ProcessQueue, queueKey } from './process-queue.js';
import type { PullLoop } from './pull-loop.js';
import type { QueueLocks } from './queue-locks.js';

/** How long the end of a consumer waits for a broker that does not answer, milliseconds. */
const FAREWELL_MS = 3_000;

export interface AssignedQueuesOptions {
  readonly context: MemoryClientContext;
  readonly reports: ConsumerReports;
  readonly offsets: OffsetKeeper;
  /** Orderly consumers of clustering groups need the broker's lock on a queue; others have none. */
  readonly locks: QueueLocks | undefined;
  readonly consumption: Consumption;
  readonly pulls: PullLoop;
  readonly isSubscribed: (topic: string) => boolean;
  /** The share of a topic changed. */
  readonly onAssigned: (topic: string) => void;
}

/** The queues this member owns, and how it takes them over and hands them on. */
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
   * @returns whether all are here
   */
  async assign(topic: string, queues: readonly MessageQueue[]): Promise<boolean> {
    const wanted = new Map(queues.map((queue) => [queueKey(queue), queue]));
    const leaving = this.#ofTopic(topic).filter(({ key }) => !wanted.has(key));
    if (leaving.length > 0) {
      // A handler of an orderly consumer may take its time; the others need not wait.
      void Promise.all(leaving.map((each) => this.#handOn(each))).then(() => this.#options.onAssigned(topic));
    }
    let changed = false;
    for (const [key, queue] of wanted) {
      if (await this.#takeOver(key, queue)) changed = true;
    }
    if (changed) this.#options.onAssigned(topic);
    return [...wanted.keys()].every((key) => this.#queues.has(key) && !this.#changing.has(key));
  }

  /** Hands on every queue of the topic; resolves when none is handled any more. */
  async release(topic: string): Promise<void> {
    await Promise.all(this.#ofTopic(topic).map((each) => this.#handOn(each)));
    this.#options.onAssigned(topic);
  }

  /** Gives the queue up at once: another member has the lock. */
  lose(processQueue: ProcessQueue): void {
    if (this.#queues.get(processQueue.key) !== processQueue) return;
    this.#drop(processQueue);
    this.#options.onAssigned(processQueue.queue.topic);
  }

  /** Reports how far this member got. Never rejects. */
  async persist(): Promise<void> {
    const { locks, offsets, reports } = this.#options;
    const context = 'storing offsets';
    try {
      for (const processQueue of Array.from(this.#queues.values())) {
        // Without the lock the offset is another member's affair.
        if (locks && !locks.isHeld(processQueue)) continue;
        await offsets.write(processQueue.queue, processQueue.committableOffset);
      }
      reports.working(context);
    } catch (error) {
      reports.failing(context, error);
    }
  }

  /** Stores offsets and lets go of every queue. Handlers have ended or were given up before. */
  async close(): Promise<void> {
    this.#closed = true;
    const { context, consumption, locks, pulls } = this.#options;
    const queues = [...this.#queues.values()];
    for (const processQueue of queues) {
      consumption.abandon(processQueue);
      pulls.stop(processQueue);
    }
    const farewell = async (): Promise<void> => {
      await this.persist();
      if (locks) for (const { queue } of queues) await locks.unlock(queue);
    };
    await atMost(context.clock, FAREWELL_MS, farewell());
    this.forgetAll();
  }

  /** Drops everything without a word to the broker. */
  forgetAll(): void {
    this.#closed = true;
    for (const processQueue of this.#queues.values()) this.#drop(processQueue);
    this.#options.locks?.close();
  }

  #ofTopic(topic: string): ProcessQueue[] {
    return Array.from(this.#queues.values()).filter(({ queue }) => queue.topic === topic);
  }

  /** Resolves with whether the queue is new here. Never rejects. */
  async #takeOver(key: string, queue: MessageQueue): Promise<boolean> {
    if (this.#queues.has(key) || this.#changing.has(key) || this.#closed) return false;
    const { isSubscribed, locks, offsets, pulls, reports } = this.#options;
    const context = `taking over ${key}`;
    this.#changing.add(key);
    try {
      const lockedUntil = locks ? await locks.lock(queue) : Infinity;
      // Its owner of before has not handed it on yet.
      if (lockedUntil === undefined) return false;
      const processQueue = new ProcessQueue(queue, await offsets.start(queue));
      if (this.#closed || !isSubscribed(queue.topic)) {
        await locks?.unlock(queue);
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
  async #handOn(processQueue: ProcessQueue): Promise<void> {
    const { key, queue } = processQueue;
    if (this.#changing.has(key)) return;
    const { consumption, locks, offsets, reports } = this.#options;
    this.#changing.add(key);
    await consumption.revoke(processQueue);
    // Unless the lock was lost meanwhile: then its new owner decides about the offset.
    if (this.#queues.get(key) === processQueue) {
      const offset = processQueue.committableOffset;
      this.#drop(processQueue);
      try {
        await offsets.write(queue, offset);
      } catch (error) {
        if (!this.#closed) reports.error(`handing on ${key}`, error);
      }
      offsets.forget(queue);
      await locks?.unlock(queue);
    }
    this.#changing.delete(key);
  }

  #drop(processQueue: ProcessQueue): void {
    this.#queues.delete(processQueue.key);
    this.#options.locks?.forget(processQueue);
    this.#options.pulls.stop(processQueue);
    this.#options.consumption.abandon(processQueue);
  }
}
