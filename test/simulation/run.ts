import { Application, type Surroundings } from './application.js';
import { Checker } from './checker.js';
import { FakeDatabase } from './fake-database.js';
import type { FaultPlan } from './faults.js';
import { Machine } from './machine.js';
import { LANE, newLane } from './outbox-statements.js';
import type { Scenario, WorldEvent } from './scenario.js';
import { SimBroker } from './sim-broker.js';
import { World, type Coverage } from './world.js';

/** After the last fault, everything has to be in order within this time. */
const SETTLE_LIMIT_MS = 400_000;
const STOP_LIMIT_MS = 20_000;

export interface RunResult {
  readonly violations: readonly string[];
  readonly crossings: number;
  readonly faults: number;
  readonly duplicates: number;
  readonly virtualMs: number;
  readonly coverage: Coverage;
  readonly history: string;
  readonly trace: readonly string[] | undefined;
}

/** Runs a scenario once. The same arguments give the same run, step by step. */
export async function run(
  scenario: Scenario,
  seed: number,
  plan: FaultPlan,
  options: { readonly trace?: boolean; readonly history?: boolean } = {},
): Promise<RunResult> {
  const simulation = new Simulation(scenario, seed, plan, options);
  await simulation.play();
  return simulation.result(options.history ?? false);
}

class Simulation {
  readonly #world: World;
  readonly #checker: Checker;
  readonly #around: Surroundings;
  readonly #applications: Application[] = [];
  #generation = 0;

  constructor(
    private readonly scenario: Scenario,
    seed: number,
    plan: FaultPlan,
    options: { readonly trace?: boolean },
  ) {
    const world = new World(seed, plan, scenario, options);
    const checker = new Checker(world, scenario);
    const database = new FakeDatabase(world);
    checker.attach(database);
    for (let lane = 0; lane < scenario.lanes; lane++) database.seed(LANE, String(lane), newLane(lane));
    const broker = new SimBroker(world, {
      queuesPerTopic: scenario.queuesPerTopic,
      duplicateRate: scenario.duplicateRate,
      checkIntervalMs: scenario.checkIntervalMs,
      onStored: (message) => checker.stored(message),
      onSend: (machine, ids) => checker.sending(machine, ids),
      refuses: (ids) => checker.refuses(ids),
    });
    for (const topic of ['orders', 'invoices']) broker.store.createTopic(topic, scenario.queuesPerTopic);
    this.#world = world;
    this.#checker = checker;
    this.#around = { scenario, database, broker, checker, underLease: new Set() };
    world.machineDied = (machine) => this.#restart(machine);
  }

  async play(): Promise<void> {
    const { clock } = this.#world;
    const onRejection = (reason: unknown): void => {
      this.#world.violate(`Nothing fails silently: unhandled rejection of ${String(reason)}`);
    };
    process.on('unhandledRejection', onRejection);
    try {
      for (let slot = 0; slot < this.scenario.machines; slot++) this.#start(slot);
      for (const job of this.scenario.jobs) {
        clock.setTimeout(() => {
          const application = this.#applications[job.machine];
          application?.machine.hear(() => application.run(job));
        }, job.at);
      }
      if (this.scenario.operatorMs !== undefined) this.#operate(this.scenario.operatorMs);
      for (const event of this.scenario.events) clock.setTimeout(() => this.#happen(event), event.at);
      const lastBegin = Math.max(0, ...[...this.scenario.jobs, ...this.scenario.events].map(({ at }) => at));
      await clock.advance(lastBegin);
      await clock.advanceUntil(() => this.#world.faultsAreOver, this.scenario.chaosMs - lastBegin);
      this.#world.heal();
      await clock.advanceUntil(() => this.#isOver(), SETTLE_LIMIT_MS);
      this.#checker.finish();
      await clock.settle();
    } catch (error) {
      this.#world.violate(`The simulation broke: ${String(error)}`);
    } finally {
      process.off('unhandledRejection', onRejection);
      this.#around.broker.close();
    }
  }

  result(withHistory: boolean): RunResult {
    const { violations, crossings, faults, clock, coverage, history, trace } = this.#world;
    return {
      violations,
      crossings,
      faults,
      duplicates: this.#checker.duplicates,
      virtualMs: clock.monotonic(),
      coverage,
      history: withHistory || violations.length > 0 ? history.text() : '',
      trace,
    };
  }

  #isOver(): boolean {
    const { broker } = this.#around;
    if (broker.halfCount > 0 || broker.delayedCount > 0) return false;
    if (this.#applications.some(({ machine }) => !machine.alive || machine.frozen || machine.stopped))
      return false;
    return this.#checker.settled;
  }

  #start(slot: number): void {
    this.#generation += 1;
    const machine = new Machine(this.#world, `${'abc'[slot] ?? 'z'}${this.#generation}`);
    machine.skewMs = this.scenario.skews[slot] ?? 0;
    const application = new Application(machine, this.#around);
    this.#applications[slot] = application;
    this.#world.history.add(machine.name, 'starts');
    application.start().then(
      () => this.#world.history.add(machine.name, 'is up'),
      (error: unknown) => {
        this.#world.history.add(machine.name, `does not start: ${String(error)}`);
        machine.crash();
      },
    );
  }

  #restart(dead: Machine): void {
    const slot = this.#applications.findIndex(({ machine }) => machine === dead);
    if (slot < 0) return;
    this.#world.clock.setTimeout(() => this.#start(slot), this.#world.random.pick([50, 500, 3_000]));
  }

  /** Every so often somebody looks at what is parked, on whichever machine is up. */
  #operate(everyMs: number): void {
    this.#world.clock.setTimeout(() => {
      const up = this.#applications.find(
        ({ machine }) => machine.alive && !machine.frozen && !machine.stopped,
      );
      up?.operate();
      this.#operate(everyMs);
    }, everyMs);
  }

  #happen(event: WorldEvent): void {
    const { world, broker } = { world: this.#world, broker: this.#around.broker };
    if (event.kind === 'broker-away') {
      world.history.add('broker', `is away for ${event.ms} ms`);
      world.faults += 1;
      broker.away = true;
      world.clock.setTimeout(() => (broker.away = false), event.ms);
      return;
    }
    if (event.kind === 'database-restart') {
      world.history.add('database', 'restarts');
      world.faults += 1;
      this.#around.database.terminateAll();
      return;
    }
    const application = this.#applications[event.machine];
    if (application === undefined || !application.machine.alive) return;
    if (event.kind === 'kill') application.machine.crash();
    else if (event.kind === 'freeze') application.machine.freeze(world.freezeMs());
    else if (!application.machine.frozen && !application.stopping)
      void this.#stop(application, event.machine);
  }

  async #stop(application: Application, slot: number): Promise<void> {
    const { machine } = application;
    const { clock, history } = this.#world;
    history.add(machine.name, 'is told to stop');
    await application.endRequests();
    const begun = clock.monotonic();
    const freezes = machine.freezes;
    const abandoned = await application.stop();
    history.add(machine.name, `has stopped, ${abandoned} given up`);
    if (clock.monotonic() - begun > STOP_LIMIT_MS && machine.freezes === freezes) {
      this.#world.violate(`Bounded: ${machine.name} took ${clock.monotonic() - begun} ms to stop`);
    }
    // With a database that does not answer, the farewell may come after the end.
    if (abandoned === 0 && machine.faults === 0) {
      machine.stopped = true;
      if (machine.timers > 0) {
        this.#world.violate(`Stop means drained: ${machine.name} left ${machine.timers} timers`);
      }
    }
    clock.setTimeout(() => this.#start(slot), 500);
  }
}
