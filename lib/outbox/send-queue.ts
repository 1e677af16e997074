import type { PendingRow } from './lane.js';

/**
 * Rows in the order they are to be sent: all of an ordering key, or all of a topic without one.
 */
export class SendQueue {
  private rows: PendingRow[] = [];
  private head = 0;
  /** Sends of this queue under way. */
  inFlight = 0;

  constructor(
    readonly id: string,
    /** Whether order matters: one in flight, sorted by id. */
    readonly ordered: boolean,
  ) {}

  get length(): number {
    return this.rows.length - this.head;
  }

  peek(): PendingRow | undefined {
    return this.rows[this.head];
  }

  shift(): PendingRow | undefined {
    const first = this.rows[this.head];
    if (first === undefined) return undefined;
    this.head += 1;
    if (this.head > 1_024 && this.head * 2 > this.rows.length) {
      this.rows = this.rows.slice(this.head);
      this.head = 0;
    }
    return first;
  }

  add(pending: PendingRow): void {
    const last = this.rows[this.rows.length - 1];
    if (!this.ordered || this.length === 0 || last === undefined || last.row.id < pending.row.id) {
      this.rows.push(pending);
      return;
    }
    // A row whose transaction took longer than that of a later one.
    const waiting = this.rows.slice(this.head);
    const place = waiting.findIndex(({ row }) => row.id > pending.row.id);
    waiting.splice(place < 0 ? waiting.length : place, 0, pending);
    this.rows = waiting;
    this.head = 0;
  }

  /** Back to the front, in the order given. */
  putBack(rows: readonly PendingRow[]): void {
    this.rows = [...rows, ...this.rows.slice(this.head)];
    this.head = 0;
  }

  /** Takes out everything. */
  clear(): readonly PendingRow[] {
    const waiting = this.rows.slice(this.head);
    this.rows = [];
    this.head = 0;
    return waiting;
  }
}
