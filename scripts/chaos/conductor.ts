import { setTimeout as delay } from 'node:timers/promises';
import { Prng } from '../../test/simulation/prng.js';
import type { ProgressReader } from './contract.js';
import type { FaultKind, Scene, Target } from './faults/fault.js';
import type { Fleet } from './fleet.js';
import { recovery } from './recovery.js';
import type { RunLog } from './run-log.js';
import type { Surroundings } from './surroundings/surroundings.js';

/** One fault that was injected. */
export interface FaultRecord {
  readonly kind: string;
  /** Undefined: not measured, since another fault was active. */
  readonly recovery?: Recovery;
}

export interface Recovery {
  readonly ms: number;
  /** It was not over then; nobody waited any longer. */
  readonly unfinished: boolean;
}

export interface ConductorOptions {
  readonly kinds: readonly FaultKind[];
  readonly minutes: number;
  readonly seed: number;
  readonly fleet: Fleet;
  readonly surroundings: Surroundings;
  readonly progress: ProgressReader;
  readonly log: RunLog;
  readonly signal: AbortSignal;
}

/** With less time than this for each kind, faults come side by side and no recovery is waited for. */
const ENOUGH_PER_KIND_MS = 20_000;
const LANES_WHEN_SHORT = 3;
const RECOVERY_LIMIT_MS = 120_000;
/** In a long run this part of the faults is joined by a second one, once every kind has been seen alone. */
const OVERLAP = 0.25;

/** Chooses faults by a seed, each kind as often as every other, and injects them one after the other or side by side. */
export class Conductor {
  readonly records: FaultRecord[] = [];
  /** Every kind has its turn once, however long that takes. */
  private readonly firstRound: Set<FaultKind>;
  private readonly random: Prng;
  private readonly short: boolean;
  private readonly touched = new Map<FaultKind, readonly Target[]>();
  private readonly background = new Set<Promise<void>>();
  private deck: FaultKind[] = [];
  private number = 0;
  private end = 0;
  /** Ends what waits in the background when the run is over. */
  private readonly over = new AbortController();
  private readonly ended: AbortSignal;
  private failure: unknown;

  constructor(private readonly options: ConductorOptions) {
    this.random = new Prng(options.seed);
    this.short = (options.minutes * 60_000) / options.kinds.length < ENOUGH_PER_KIND_MS;
    this.firstRound = new Set(options.kinds);
    this.ended = AbortSignal.any([options.signal, this.over.signal]);
  }

  get active(): readonly string[] {
    return [...this.touched.keys()].map((kind) => kind.name);
  }

  get injected(): number {
    return this.number;
  }

  /** Returns when time is over, every kind has had its turn, and no fault is active. */
  async run(): Promise<void> {
    this.end = performance.now() + this.options.minutes * 60_000;
    const goesOn = (): boolean =>
      !this.options.signal.aborted && (!this.timeIsOver || this.firstRound.size > 0);
    const lanes = Array.from({ length: this.short ? LANES_WHEN_SHORT : 1 }, () => this.lane(goesOn));
    try {
      await Promise.all(lanes);
    } finally {
      this.over.abort();
      await Promise.allSettled([...lanes, ...this.background]);
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async lane(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      await this.pause(this.short ? 200 : 1000, this.short ? 1000 : 4000);
      const kind = this.draw();
      if (kind === undefined) continue;
      if (this.short) await this.inject(kind);
      else await this.injectAndRecover(kind);
    }
  }

  private get timeIsOver(): boolean {
    return performance.now() >= this.end;
  }

  /** The next of the shuffled kinds that has nothing in common with those that are active. */
  private draw(): FaultKind | undefined {
    if (this.deck.length === 0) this.deck = shuffled(this.options.kinds, this.random);
    const touched = new Set([...this.touched.values()].flat());
    const index = this.deck.findIndex(
      (kind) =>
        !this.touched.has(kind) &&
        !kind.touches.some((target) => touched.has(target)) &&
        (this.firstRound.has(kind) || !this.timeIsOver),
    );
    return index < 0 ? undefined : this.deck.splice(index, 1)[0];
  }

  private async injectAndRecover(kind: FaultKind): Promise<void> {
    const second = this.firstRound.size === 0 && this.random.chance(OVERLAP);
    const alone = this.background.size === 0 && !second;
    let measured: Promise<Recovery | undefined> | undefined;
    const struck = (): void => {
      if (alone && kind.recoveryFrom === 'begin') measured ??= this.recovered();
    };
    const strikes = [this.inject(kind, { struck, record: !alone })];
    if (second) {
      await this.pause(0, 3000);
      const other = this.draw();
      if (other) strikes.push(this.inject(other, { record: true }));
    }
    await Promise.all(strikes);
    const outcome = await (measured ?? this.recovered());
    if (alone) this.records.push({ kind: kind.name, ...(outcome ? { recovery: outcome } : {}) });
  }

  private async recovered(): Promise<Recovery | undefined> {
    const { progress, signal } = this.options;
    const ms = await recovery({ progress, limitMs: RECOVERY_LIMIT_MS, signal });
    if (signal.aborted) return undefined;
    this.options.log.write('caught up', { afterMs: ms === undefined ? 'not in time' : Math.round(ms) });
    return { ms: ms ?? RECOVERY_LIMIT_MS, unfinished: ms === undefined };
  }

  /** Returns when the fault is over; one in the background, when it has begun. */
  private async inject(
    kind: FaultKind,
    { struck, record = true }: { readonly struck?: () => void; readonly record?: boolean } = {},
  ): Promise<void> {
    const number = ++this.number;
    const { fleet, surroundings, log } = this.options;
    const scene: Scene = {
      fleet,
      surroundings,
      // Its own numbers: what others draw meanwhile does not change them.
      random: new Prng(this.random.below(2 ** 31)),
      short: this.short,
      signal: this.ended,
      announce: (details) => log.write(kind.name, { fault: number, ...details }),
      struck: () => struck?.(),
      wait: (milliseconds) => this.wait(milliseconds),
    };
    this.touched.set(kind, kind.touches);
    const strike = kind
      .strike(scene)
      .then(() => log.write('over', { fault: number, kind: kind.name }))
      .finally(() => this.touched.delete(kind));
    this.firstRound.delete(kind);
    if (record) this.records.push({ kind: kind.name });
    if (!kind.background) return strike;
    struck?.();
    const remains: Promise<void> = strike.finally(() => this.background.delete(remains));
    this.background.add(remains);
    remains.catch((error: unknown) => (this.failure ??= error));
  }

  private pause(fromMs: number, toMs: number): Promise<void> {
    return this.wait(fromMs + this.random.next() * (toMs - fromMs));
  }

  private async wait(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.ended }).catch(() => {});
  }
}

function shuffled<T>(items: readonly T[], random: Prng): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as T);
}
