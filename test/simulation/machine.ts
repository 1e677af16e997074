import type { Clock, ClockTimer } from '../../lib/client/clock.js';
import type { World } from './world.js';

/**
 * One process of the application. Whatever it hears from outside (time, answers, arrivals) comes through here, so
 * that it can die, or stand still, between any two of its steps.
 */
export class Machine {
  alive = true;
  readonly clock: Clock;
  /** Of its wall clock against the world's, milliseconds. */
  skewMs = 0;
  /** How often it stood still. */
  freezes = 0;
  /** What went wrong with its calls. */
  faults = 0;
  /** It was told to stop, and says that it has. */
  stopped = false;
  readonly #timers = new Map<number, ClockTimer>();
  readonly #crashListeners: (() => void)[] = [];
  #nextTimer = 0;
  #backlog: (() => void)[] | undefined;

  constructor(
    readonly world: World,
    readonly name: string,
  ) {
    this.clock = {
      now: () => world.clock.now() + this.skewMs,
      monotonic: () => world.clock.monotonic(),
      setTimeout: (callback, ms) => this.#setTimeout(callback, ms),
      clearTimeout: (timer) => this.#clearTimeout(timer),
    };
  }

  get frozen(): boolean {
    return this.#backlog !== undefined;
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.size;
  }

  onCrash(listener: () => void): void {
    this.#crashListeners.push(listener);
  }

  /** kill -9: nothing of it goes on. */
  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.world.history.add(this.name, 'CRASH');
    for (const timer of this.#timers.values()) this.world.clock.clearTimeout(timer);
    this.#timers.clear();
    this.#backlog = undefined;
    for (const listener of this.#crashListeners) listener();
    this.world.machineDied(this);
  }

  /** SIGSTOP, and SIGCONT later. */
  freeze(ms: number): void {
    if (!this.alive || this.frozen) return;
    this.freezes += 1;
    this.#backlog = [];
    this.world.history.add(this.name, `FROZEN for ${Math.round(ms)} ms`);
    this.world.clock.setTimeout(() => this.thaw(), ms);
  }

  thaw(): void {
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    this.#backlog = undefined;
    this.world.history.add(this.name, 'GOES ON');
    // In the order it came in, each in a turn of its own, as an event loop would.
    for (const step of backlog) this.world.clock.setTimeout(() => this.hear(step), 0);
  }

  /** Something from outside arrives: now, when it goes on, or never. */
  hear(step: () => void): void {
    if (!this.alive) return;
    if (this.#backlog !== undefined) this.#backlog.push(step);
    else step();
  }

  /** Resolves when it may take a step; never when it is dead. */
  awake(): Promise<void> | undefined {
    if (this.alive && !this.frozen) return undefined;
    return new Promise((resolve) => this.hear(resolve));
  }

  #setTimeout(callback: () => void, ms: number): ClockTimer {
    const id = this.#nextTimer++;
    if (!this.alive) return id;
    const timer = this.world.clock.setTimeout(() => {
      this.hear(() => {
        if (!this.#timers.delete(id)) return;
        const fault = this.world.cross(this, 'clock.wake');
        if (fault === 'crash-before') this.crash();
        else if (fault === 'freeze-before') {
          this.freeze(this.world.freezeMs());
          this.hear(callback);
        } else callback();
      });
    }, ms);
    this.#timers.set(id, timer);
    return id;
  }

  #clearTimeout(timer: ClockTimer): void {
    if (typeof timer !== 'number') return;
    this.world.clock.clearTimeout(this.#timers.get(timer));
    this.#timers.delete(timer);
  }
}

export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
