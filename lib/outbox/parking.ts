import { pause, type Clock } from '../client/clock.js';
import type { Lane, PendingRow } from './lane.js';
import type { OutboxRow } from './outbox-row.js';
import type { OutboxStore, ParkOrder } from './outbox-store.js';

export interface ParkingEvents {
  /** The rows are no longer in the outbox. */
  parked(lane: Lane, rows: readonly ParkedRow[]): void;
  /** No parked row is in front of these any more. Of some ordering keys others stay parked, behind them. */
  freed(lane: Lane, rows: readonly PendingRow[], stillBlocked: readonly string[]): void;
  /** Due rows that are in the outbox again, in order of id, and the ordering keys that stay blocked. */
  returned(lane: Lane, rows: readonly OutboxRow[], stillBlocked: readonly string[]): void;
  /** The lane belongs to somebody else, or what was written to it is unknown: its rows have to be read anew. */
  lost(lane: Lane): void;
  failed(error: unknown): void;
}

export interface ParkedRow {
  readonly pending: PendingRow;
  readonly order: ParkOrder;
  readonly cause: unknown;
}

export interface ParkingOptions {
  readonly behindDead: 'block' | 'skip';
  /** Pause after the database failed. */
  readonly retryMs: number;
  /** How often to look for due rows. */
  readonly scanMs: number;
  readonly limit: number;
}

/**
 * Writes down what could not be sent, and brings it back when it is due. Per lane one thing at a time, and fenced
 * by the lane's epoch: an instance that lost the lane cannot put aside what the new owner is sending.
 */
export class Parking {
  private readonly orders = new Map<Lane, ParkedRow[]>();
  private readonly turns = new Map<Lane, Promise<void>>();
  private readonly abort = new AbortController();

  constructor(
    private readonly store: Pick<OutboxStore, 'park' | 'blockedKeys' | 'dueLanes' | 'unpark'>,
    private readonly lanes: () => readonly Lane[],
    private readonly options: ParkingOptions,
    private readonly clock: Clock,
    private readonly events: ParkingEvents,
  ) {}

  add(lane: Lane, rows: readonly ParkedRow[]): void {
    for (const { pending } of rows) lane.enter(pending, 'parking');
    const waiting = this.orders.get(lane);
    if (waiting !== undefined) {
      waiting.push(...rows);
      return;
    }
    this.orders.set(lane, [...rows]);
    void this.inTurn(lane, () => {
      const orders = this.orders.get(lane) ?? [];
      this.orders.delete(lane);
      return this.write(lane, orders);
    });
  }

  /** Brings due rows back, again and again until `stop`. */
  async returnDueRows(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      const held = new Map(this.lanes().map((lane) => [lane.lane, lane]));
      try {
        const due = held.size > 0 ? await this.store.dueLanes([...held.keys()]) : [];
        const lanes = due.map((number) => held.get(number)).filter((lane) => lane !== undefined);
        await Promise.all(lanes.map((lane) => this.inTurn(lane, () => this.unpark(lane))));
      } catch (error) {
        this.events.failed(error);
      }
      await pause(this.clock, this.options.scanMs, signal);
    }
  }

  /** Gives up on what the database does not take. */
  stop(): void {
    this.abort.abort();
  }

  private inTurn(lane: Lane, work: () => Promise<void>): Promise<void> {
    const turn = (this.turns.get(lane) ?? Promise.resolve()).then(work).finally(() => {
      if (this.turns.get(lane) === turn) this.turns.delete(lane);
    });
    this.turns.set(lane, turn);
    return turn;
  }

  private async write(lane: Lane, rows: readonly ParkedRow[]): Promise<void> {
    const { signal } = this.abort;
    let open = rows;
    while (lane.state !== 'lost' && !signal.aborted) {
      try {
        const orders = open.map(({ order }) => order);
        const { held, free } = await this.store.park(lane, orders, this.options.behindDead);
        if (!held) break;
        const stay = new Set(free);
        const gone = open.filter(({ order }) => !stay.has(order.id));
        open = open.filter(({ order }) => stay.has(order.id));
        // That is committed: it is told now, whatever becomes of the rest.
        if (gone.length > 0) this.events.parked(lane, gone);
        if (open.length === 0) return;
        const blocked = await this.stillBlocked(lane);
        this.events.freed(
          lane,
          open.map(({ pending }) => pending),
          blocked,
        );
        return;
      } catch (error) {
        this.events.failed(error);
        await pause(this.clock, this.options.retryMs, signal);
      }
    }
    this.events.lost(lane);
  }

  private async stillBlocked({ lane }: Lane): Promise<readonly string[]> {
    const blocked = await this.store.blockedKeys([lane], this.options.behindDead);
    return blocked.map(({ orderingKey }) => orderingKey);
  }

  private async unpark(lane: Lane): Promise<void> {
    if (lane.state !== 'held' || this.abort.signal.aborted) return;
    try {
      const { held, rows, stillBlocked } = await this.store.unpark(lane, this.options.limit);
      if (held) this.events.returned(lane, rows, stillBlocked);
      else this.events.lost(lane);
    } catch (error) {
      this.events.failed(error);
      // Rows may have come back, and later rows of their keys must not go first: start over with this lane.
      this.events.lost(lane);
    }
  }
}
