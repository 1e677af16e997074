import type { Clock } from '../client/clock.js';
import { PartialBatchError } from '../client/partial-batch-error.js';
import type { Producer } from '../client/producer.js';
import { DestinationHold } from './destination-hold.js';
import type { PendingRow } from './lane.js';
import { isBatchable, toMessage } from './outbox-row.js';
import { classifySendFailure, type SendFailure } from './send-failure.js';
import { SendQueue } from './send-queue.js';

export interface DispatcherOptions {
  readonly maxInFlight: number;
  readonly batchSize: number;
  readonly batchBytes: number;
  readonly batchesInFlight: number;
  readonly sendTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

/** What the dispatcher tells about; called synchronously, must not throw. */
export interface DispatcherEvents {
  acknowledged(rows: readonly PendingRow[], sendMs: number): void;
  /** The broker will not take this message now. Rows of its ordering key wait behind it. */
  refused(pending: PendingRow, failure: SendFailure, error: unknown): void;
  /** The row's topic pauses. */
  backedOff(rows: readonly PendingRow[], delayMs: number, error: unknown): void;
  /** So much waits to be recorded that nothing more should be sent. */
  congested(): boolean;
  /** Neither sent nor refused, and its lane is no longer held: forget it. */
  dropped(pending: PendingRow): void;
}

/**
 * Sends rows: those of an ordering key one after the other, others in broker batches. A lone message goes at once;
 * while a few batches of its topic are under way, further ones gather for the next. Batches take rows of any lane.
 */
export class Dispatcher {
  private readonly queues = new Map<string, SendQueue>();
  private readonly holds = new Map<string, DestinationHold>();
  /** Queues that wait for a free send. */
  private readonly crowded = new Set<SendQueue>();
  /** Queues that wait for their topic's pause to end, or for a lease to be renewed. */
  private readonly held = new Set<SendQueue>();
  private sends = 0;
  private stopped = false;

  constructor(
    private readonly producer: (connection: string | undefined) => Producer,
    private readonly options: DispatcherOptions,
    private readonly events: DispatcherEvents,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {}

  /** Sends under way. */
  get inFlight(): number {
    return this.sends;
  }

  offer(rows: readonly PendingRow[]): void {
    const touched = new Set<SendQueue>();
    for (const pending of rows) {
      const queue = this.queueOf(pending);
      queue.add(pending);
      touched.add(queue);
    }
    for (const queue of touched) this.pump(queue);
  }

  /** Takes the rows of an ordering key out again that have not been sent. */
  withdraw(pending: PendingRow): readonly PendingRow[] {
    return this.queues.get(queueId(pending))?.clear() ?? [];
  }

  /** Something that held rows back has changed. */
  resume(): void {
    const queues = [...this.held];
    this.held.clear();
    for (const queue of queues) this.pump(queue);
  }

  /** What was acknowledged has been recorded. */
  relieved(): void {
    this.pumpCrowded();
  }

  /** No further sends; what is under way gets its answer. */
  stop(): void {
    this.stopped = true;
    for (const hold of this.holds.values()) hold.stop();
    this.holds.clear();
  }

  private queueOf(pending: PendingRow): SendQueue {
    const id = queueId(pending);
    let queue = this.queues.get(id);
    if (queue === undefined) {
      queue = new SendQueue(id, pending.row.orderingKey !== undefined);
      this.queues.set(id, queue);
    }
    return queue;
  }

  private pump(queue: SendQueue): void {
    while (!this.stopped) {
      if (queue.inFlight >= this.limitOf(queue)) return; // its own answers pump it again
      if (this.isFull()) {
        this.crowded.add(queue);
        return;
      }
      const rows = this.take(queue);
      if (rows.length === 0) break;
      void this.send(queue, rows);
    }
    if (queue.length > 0) this.held.add(queue);
    else if (queue.inFlight === 0) this.forget(queue);
  }

  private forget(queue: SendQueue): void {
    this.crowded.delete(queue);
    this.held.delete(queue);
    if (this.queues.get(queue.id) === queue) this.queues.delete(queue.id);
  }

  private limitOf(queue: SendQueue): number {
    if (queue.ordered) return 1;
    const next = queue.peek();
    if (next === undefined) return 1;
    const single = this.options.batchSize === 1 || next.alone || !isBatchable(next.row);
    return single ? this.options.maxInFlight : this.options.batchesInFlight;
  }

  /** What goes out with the next request; nothing when it has to wait. */
  private take(queue: SendQueue): readonly PendingRow[] {
    const rows: PendingRow[] = [];
    const now = this.clock.monotonic();
    let bytes = 0;
    for (;;) {
      const next = queue.peek();
      if (next === undefined) return rows;
      if (next.lane.state !== 'held') {
        queue.shift();
        this.events.dropped(next);
        continue;
      }
      if (rows.length === 0 && this.holds.get(destinationOf(next))?.closed) return rows;
      if (!next.lane.canSend(now)) return rows;
      const batchable = !queue.ordered && !next.alone && isBatchable(next.row);
      if (rows.length > 0) {
        const full =
          rows.length >= this.options.batchSize || bytes + next.row.body.length > this.options.batchBytes;
        if (full || !batchable) return rows;
      }
      queue.shift();
      rows.push(next);
      bytes += next.row.body.length;
      if (!batchable) return rows;
    }
  }

  private async send(queue: SendQueue, rows: readonly PendingRow[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const destination = destinationOf(first);
    const hold = this.holds.get(destination);
    if (hold !== undefined) hold.probing = true;
    for (const pending of rows) pending.lane.enter(pending, 'sending');
    queue.inFlight += 1;
    this.sends += 1;
    const startedAt = this.clock.monotonic();
    let failure: { readonly error: unknown; readonly stored: number } | undefined;
    try {
      await this.transmit(rows);
    } catch (error) {
      failure = { error, stored: error instanceof PartialBatchError ? error.receipts.length : 0 };
    }
    queue.inFlight -= 1;
    this.sends -= 1;
    const stored = failure === undefined ? rows : rows.slice(0, failure.stored);
    if (stored.length > 0) this.events.acknowledged(stored, this.clock.monotonic() - startedAt);
    if (failure === undefined) this.reopen(destination);
    else this.failed(queue, rows.slice(stored.length), startedAt, failure.error);
    this.pump(queue);
    this.pumpCrowded();
  }

  private async transmit(rows: readonly PendingRow[]): Promise<void> {
    const now = this.clock.now();
    const messages = rows.map(({ row }) => toMessage(row, now));
    const [message] = messages;
    const producer = this.producer(rows[0]?.row.connection);
    const options = { timeoutMs: this.options.sendTimeoutMs };
    if (message !== undefined && messages.length === 1) await producer.send(message, options);
    else await producer.sendBatch(messages, options);
  }

  private failed(queue: SendQueue, rows: readonly PendingRow[], startedAt: number, error: unknown): void {
    const failure = classifySendFailure(error);
    const [first] = rows;
    if (first === undefined) return;
    const destination = destinationOf(first);
    if (failure !== 'away') {
      this.reopen(destination); // somebody answered
      if (rows.length === 1) {
        this.events.refused(first, failure, error);
        return;
      }
      // One of them is at fault; alone each gets its own answer.
      for (const pending of rows) pending.alone = true;
    }
    const kept: PendingRow[] = [];
    for (const pending of rows) {
      pending.lane.enter(pending, 'waiting');
      if (pending.lane.state === 'held') kept.push(pending);
      else this.events.dropped(pending);
    }
    queue.putBack(kept);
    if (failure === 'away' && !this.stopped) {
      const delay = this.holdOf(destination).failed(startedAt);
      if (delay !== undefined) this.events.backedOff(rows, delay, error);
    }
  }

  private holdOf(destination: string): DestinationHold {
    let hold = this.holds.get(destination);
    if (hold === undefined) {
      const { backoffMinMs: minMs, backoffMaxMs: maxMs } = this.options;
      hold = new DestinationHold(this.clock, this.random, { minMs, maxMs }, () => this.resume());
      this.holds.set(destination, hold);
    }
    return hold;
  }

  private reopen(destination: string): void {
    const hold = this.holds.get(destination);
    if (hold === undefined) return;
    hold.stop();
    this.holds.delete(destination);
    this.resume();
  }

  private isFull(): boolean {
    return this.sends >= this.options.maxInFlight || this.events.congested();
  }

  private pumpCrowded(): void {
    for (const queue of this.crowded) {
      if (this.isFull()) return;
      this.crowded.delete(queue);
      this.pump(queue);
    }
  }
}

/** Rows of one queue share an ordering key within their lane, or a topic. */
function queueId({ row, lane }: PendingRow): string {
  return row.orderingKey === undefined
    ? `t ${row.connection ?? ''} ${row.topic}`
    : `k ${lane.lane}/${lane.epoch} ${row.orderingKey}`;
}

function destinationOf({ row }: PendingRow): string {
  return `${row.connection ?? ''} ${row.topic}`;
}
