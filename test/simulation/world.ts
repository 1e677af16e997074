import type { FaultKind, FaultPlan } from './faults.js';
import { faultsAt } from './faults.js';
import { History } from './history.js';
import type { Machine } from './machine.js';
import { Prng } from './prng.js';
import type { Scenario } from './scenario.js';
import { SimulatedClock } from './simulated-clock.js';

/** More crossings than this in one run: something spins. */
const MAX_CROSSINGS = 60_000;

/** Where the code under test left its process, and what was done to it there. */
export class Coverage {
  readonly reached = new Map<string, number>();
  readonly injected = new Map<string, number>();

  add(other: Pick<Coverage, 'reached' | 'injected'>): void {
    for (const [point, count] of other.reached)
      this.reached.set(point, (this.reached.get(point) ?? 0) + count);
    for (const [fault, count] of other.injected)
      this.injected.set(fault, (this.injected.get(fault) ?? 0) + count);
  }
}

/** Time, chance and everything that goes wrong, for one run. */
export class World {
  readonly clock = new SimulatedClock();
  /** For what happens without faults: latencies, order. */
  readonly random: Prng;
  readonly history: History;
  readonly coverage = new Coverage();
  /** Every process that ever ran. */
  readonly machines: Machine[] = [];
  /** Faults that may leave work done and unknown to whoever did it. */
  faults = 0;
  crossings = 0;
  /** The points in order; only when asked for. */
  readonly trace: string[] | undefined;
  readonly violations: string[] = [];
  #healed = false;

  constructor(
    seed: number,
    private readonly plan: FaultPlan,
    private readonly times: Pick<Scenario, 'freezeMs' | 'slowMs' | 'latencyMs'>,
    options: { readonly trace?: boolean } = {},
  ) {
    this.random = new Prng(seed);
    this.history = new History(() => this.clock.monotonic());
    this.trace = options.trace ? [] : undefined;
  }

  /** From now on nothing goes wrong any more. */
  heal(): void {
    this.#healed = true;
    this.history.add('world', 'no more faults');
  }

  get healed(): boolean {
    return this.#healed;
  }

  get faultsAreOver(): boolean {
    return this.plan.over(this.crossings);
  }

  /** The code under test leaves its process here. */
  cross(machine: Machine, point: string): FaultKind | undefined {
    const crossing = this.crossings++;
    if (crossing > MAX_CROSSINGS) throw new Error(`More than ${MAX_CROSSINGS} calls: something spins`);
    this.trace?.push(point);
    const { reached, injected } = this.coverage;
    reached.set(point, (reached.get(point) ?? 0) + 1);
    if (machine.stopped)
      this.violate(`Stop means drained: ${machine.name} did ${point} after it had stopped`);
    if (this.#healed) return undefined;
    const fault = this.plan.at(crossing, point, machine);
    if (fault === undefined || !faultsAt(point).includes(fault)) return undefined;
    this.faults += 1;
    machine.faults += 1;
    const name = `${point} ${fault}`;
    injected.set(name, (injected.get(name) ?? 0) + 1);
    this.history.add(machine.name, `${fault} at ${point} (crossing ${crossing})`);
    return fault;
  }

  freezeMs(): number {
    return this.random.pick(this.times.freezeMs);
  }

  slowMs(): number {
    return this.random.pick(this.times.slowMs);
  }

  /** What a call over the network takes, milliseconds; often too little to notice. */
  latencyMs(): number {
    return this.random.chance(0.6) ? 0 : this.random.next() * this.times.latencyMs;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }

  violate(what: string): void {
    if (this.violations.length < 20) this.violations.push(what);
    this.history.add('CHECKER', what);
  }

  /** Set by whoever runs machines. */
  machineDied: (machine: Machine) => void = () => undefined;
}
