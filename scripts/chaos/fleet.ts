import { setTimeout as delay } from 'node:timers/promises';
import type { Prng } from '../../test/simulation/prng.js';
import { ROLES, type ChaosProcess, type ProcessPlan, type Role } from './contract.js';
import type { RunLog } from './run-log.js';

export interface FleetOptions {
  readonly start: (plan: ProcessPlan) => ChaosProcess;
  readonly surroundings: Pick<ProcessPlan, 'nameServer' | 'databaseUrl' | 'folder' | 'run'>;
  /** Transactions begun per second by each producer. */
  readonly rate: number;
  readonly log: RunLog;
  readonly random: Prng;
}

/** A process under test, with what is happening to it. */
export class Member {
  /** In the hands of a fault: nobody else touches it. */
  taken = false;
  /** It may end, since somebody ends it. */
  expectedToEnd = false;
  up = false;

  constructor(readonly process: ChaosProcess) {}

  get name(): string {
    return this.process.plan.name;
  }
  get role(): Role {
    return this.process.plan.role;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.child.kill(signal);
  }
}

/** How often a process in a row may end while it starts: what it needs may be away for a while. */
const STARTS_IN_A_ROW = 20;
const PAUSE_BEFORE_NEXT_START_MS = 1000;

/** The processes under test: starts, replaces and ends them, and notices when one ends by itself. */
export class Fleet {
  private readonly all = new Set<Member>();
  private readonly restarts = new Set<Promise<void>>();
  private readonly numbers: Record<Role, number> = { producer: 0, relay: 0, consumer: 0 };
  private ending = false;
  /** What no process may do, in words. */
  readonly violations: string[] = [];

  constructor(private readonly options: FleetOptions) {}

  count(role: Role): number {
    return [...this.all].filter((member) => member.role === role && member.up).length;
  }

  describe(): string {
    return ROLES.map((role) => `${this.count(role)} ${role}s`).join(', ');
  }

  /** Resolves when it works. Tries again when it ends before. */
  async add(role: Role, special: { readonly skewMs?: number; readonly rate?: number } = {}): Promise<Member> {
    for (let attempt = 1; ; attempt++) {
      if (this.ending) throw new Error('the run is over');
      const member = this.launch(role, special);
      try {
        await member.process.ready;
        member.up = true;
        this.options.log.write('works', { process: member.name });
        return member;
      } catch (error) {
        if (this.ending) throw error;
        this.options.log.write('did not start', { process: member.name, why: String(error) });
        // Not fatal while a fault is active; when nothing comes up any more, it is.
        if (attempt === STARTS_IN_A_ROW) {
          this.violations.push(`no ${role} could be started ${attempt} times in a row: ${String(error)}`);
          throw error;
        }
        await delay(PAUSE_BEFORE_NEXT_START_MS);
      }
    }
  }

  private launch(role: Role, special: { readonly skewMs?: number; readonly rate?: number }): Member {
    const { start, surroundings, rate, log } = this.options;
    const plan: ProcessPlan = {
      ...surroundings,
      role,
      name: `${role}-${++this.numbers[role]}`,
      rate: special.rate ?? rate,
      skewMs: special.skewMs ?? 0,
    };
    log.write('start', { process: plan.name, skewMs: plan.skewMs });
    const member = new Member(start(plan));
    this.all.add(member);
    // Whoever waits for it is told; nobody may be waiting.
    member.process.ready.catch(() => {});
    void member.process.exited.then(() => this.ended(member));
    return member;
  }

  private ended(member: Member): void {
    const { child } = member.process;
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    const wasUp = member.up;
    member.up = false;
    this.all.delete(member);
    this.options.log.write('ended', { process: member.name, how });
    if (member.expectedToEnd || !wasUp) return;
    this.violations.push(`${member.name} ended by itself (${how})`);
    if (!this.ending) this.replaceSoon(member.role);
  }

  /** Not awaited by whoever asks; {@link settled} does. */
  replaceSoon(role: Role, afterMs = PAUSE_BEFORE_NEXT_START_MS): void {
    const replaced: Promise<void> = delay(afterMs)
      .then(async () => {
        if (!this.ending) await this.add(role);
      })
      .catch(() => {
        // Said by add.
      })
      .finally(() => this.restarts.delete(replaced));
    this.restarts.add(replaced);
  }

  async settled(): Promise<void> {
    while (this.restarts.size > 0) await Promise.all(this.restarts);
  }

  /** One that works and that no fault has in its hands. */
  take(role?: Role): Member | undefined {
    const free = [...this.all].filter(
      (member) => member.up && !member.taken && (role === undefined || member.role === role),
    );
    if (free.length === 0) return undefined;
    const member = this.options.random.pick(free);
    member.taken = true;
    return member;
  }

  async kill(member: Member): Promise<void> {
    member.expectedToEnd = true;
    member.signal('SIGKILL');
    await member.process.exited;
  }

  /** SIGTERM; it has to drain and to end with 0. */
  async leave(member: Member): Promise<void> {
    member.taken = true;
    member.expectedToEnd = true;
    this.options.log.write('asked to leave', { process: member.name });
    await member.process.leave();
    const { exitCode, signalCode } = member.process.child;
    if (exitCode === 0) return;
    this.violations.push(`${member.name} was asked to leave and ended with ${signalCode ?? exitCode}`);
  }

  async leaveAll(role: Role): Promise<void> {
    await Promise.all(
      [...this.all].filter((member) => member.role === role).map((member) => this.leave(member)),
    );
  }

  /** For the end of a run that was not finished. */
  async killAll(): Promise<void> {
    this.ending = true;
    await Promise.all([...this.all].map((member) => this.kill(member)));
    await this.settled();
  }
}
