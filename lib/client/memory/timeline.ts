import type { Clock, ClockTimer } from '../clock.js';

interface Entry<T> {
  readonly dueAt: number;
  /** Equal times keep the order they were added in. */
  readonly order: number;
  readonly value: T;
}

/** A timer of Node holds 31 bits of milliseconds; longer waits are made of several. */
const LONGEST_TIMER_MS = 2_000_000_000;

/** Things that are due at a time of the wall clock. One timer, and none while nothing waits. */
export class Timeline<T> {
  readonly #clock: Clock;
  readonly #onDue: (value: T) => void;
  /** A binary heap: the earliest entry comes first. */
  readonly #heap: Entry<T>[] = [];
  #nextOrder = 0;
  #timer: ClockTimer;
  #timerAt = Infinity;

  constructor(clock: Clock, onDue: (value: T) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(dueAt: number, value: T): void {
    this.#heap.push({ dueAt, order: this.#nextOrder++, value });
    this.#up(this.#heap.length - 1);
    this.#arm();
  }

  /** Takes out what matches; undefined when nothing does. */
  remove(matches: (value: T) => boolean): T | undefined {
    const index = this.#heap.findIndex(({ value }) => matches(value));
    return index < 0 ? undefined : this.#removeAt(index).value;
  }

  clear(): void {
    this.#heap.length = 0;
    this.#disarm();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (!first || first.dueAt >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = first.dueAt;
    const wait = Math.min(Math.max(0, Math.ceil(first.dueAt - this.#clock.now())), LONGEST_TIMER_MS);
    this.#timer = this.#clock.setTimeout(() => this.#fire(), wait);
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #fire(): void {
    this.#disarm();
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first && first.dueAt <= now; first = this.#heap[0]) {
      this.#removeAt(0);
      this.#onDue(first.value);
    }
    this.#arm();
  }

  #removeAt(index: number): Entry<T> {
    const removed = this.#heap[index]!;
    const last = this.#heap.pop()!;
    if (removed !== last) {
      this.#heap[index] = last;
      this.#down(index);
      this.#up(index);
    }
    return removed;
  }

  #up(index: number): void {
    for (let child = index; child > 0;) {
      const parent = (child - 1) >> 1;
      if (!this.#before(child, parent)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  #down(index: number): void {
    for (let parent = index; ;) {
      const left = 2 * parent + 1;
      let least = parent;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (left + 1 < this.#heap.length && this.#before(left + 1, least)) least = left + 1;
      if (least === parent) return;
      this.#swap(parent, least);
      parent = least;
    }
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a]!;
    const y = this.#heap[b]!;
    return x.dueAt < y.dueAt || (x.dueAt === y.dueAt && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }
}
