import type { ChildProcess } from 'node:child_process';

/**
 * What the two halves of the chaos command know of each other: the application under test with its histories and
 * their judge on one side, the faults with their surroundings on the other.
 */

/** Each kind of process can be killed on its own. */
export const ROLES = ['producer', 'relay', 'consumer'] as const;
export type Role = (typeof ROLES)[number];

export interface ProcessPlan {
  readonly role: Role;
  /** Unique in a run; a process that is started again after a kill has a new one. */
  readonly name: string;
  /** As the process reaches them: behind the proxies. */
  readonly nameServer: string;
  readonly databaseUrl: string;
  /** Every file of histories of the run is in here. */
  readonly folder: string;
  /** Topics and groups of the run begin with it. */
  readonly run: string;
  /** Transactions begun per second; producers only. */
  readonly rate: number;
  /** Added to this process's wall clock, in milliseconds. */
  readonly skewMs: number;
}

export interface ChaosProcess {
  readonly plan: ProcessPlan;
  readonly child: ChildProcess;
  /** The application has started and works. Rejects when the process ends before. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  /** SIGTERM, as an orchestrator does; SIGKILL after the grace period, which counts as a violation. */
  leave(): Promise<void>;
}

/** What the outside sees of the application's progress; goes past the proxies. */
export interface Progress {
  readonly committed: number;
  readonly handled: number;
  /** Age of the oldest committed message that some group has not handled, in milliseconds; 0 when there is none. */
  readonly oldestUnhandledMs: number;
}

export interface Verdict {
  readonly committed: number;
  readonly delivered: number;
  readonly lost: number;
  readonly phantom: number;
  readonly duplicatedOnTheWire: number;
  readonly doubleEffects: number;
  readonly orderViolations: number;
  /** Anything else that breaks a law: a caller told the wrong thing, a process that did not stop, a crash of its own. */
  readonly otherViolations: number;
  /** The first violations in words, each with the lines of the histories that belong to it. */
  readonly examples: readonly string[];
}

/** Where a run takes place, as the judge and the observers reach it: past the proxies. */
export interface Place {
  readonly nameServer: string;
  readonly databaseUrl: string;
  readonly folder: string;
  readonly run: string;
}

/*
 * The order of a run, with what the application's half exports:
 *
 *   application/prepare.ts        prepareRun(place): tables and topics, once, before everything else
 *   application/wire-observer.ts  startWireObserver(place)
 *   application/progress.ts       openProgress(databaseUrl)
 *   application/chaos-process.ts  startChaosProcess(plan), as often as wanted
 *   faults; then wait until oldestUnhandledMs is 0; every process leaves
 *   wireObserver.caughtUp(), wireObserver.close()
 *   judge/judge.ts                judge(place)
 */

/** Reads every queue of the run's topics into the histories. Outlives restarts of brokers and name servers. */
export interface WireObserver {
  /** Everything that is at the broker now has been written down. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export interface ProgressReader {
  /** Undefined while the database cannot be asked. */
  read(): Promise<Progress | undefined>;
  close(): Promise<void>;
}
