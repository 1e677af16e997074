import type { Prng } from '../../../test/simulation/prng.js';
import type { Fleet, Member } from '../fleet.js';
import type { Role } from '../contract.js';
import type { Surroundings } from '../surroundings/surroundings.js';

/** Two faults at the same time have nothing of this in common. */
export type Target = Role | 'broker' | 'name server' | 'database' | 'idle transaction';

/** A kind of fault, injected many times in a run. */
export interface FaultKind {
  readonly name: string;
  readonly touches: readonly Target[];
  /** From when the recovery is counted. @default 'end' */
  readonly recoveryFrom?: 'begin' | 'end';
  /** Others may come while it lasts. @default false */
  readonly background?: boolean;
  /** Returns when the fault is over. Whatever it changed is as before then, however it ends. */
  strike(scene: Scene): Promise<void>;
}

/** What a fault has to work with. */
export interface Scene {
  readonly fleet: Fleet;
  readonly surroundings: Surroundings;
  readonly random: Prng;
  /** Durations are short: the run is. */
  readonly short: boolean;
  /** The run ends early. */
  readonly signal: AbortSignal;
  /** Writes to the run's history what happens next. Before it happens. */
  announce(details: Readonly<Record<string, unknown>>): void;
  /** The recovery counts from now, and not from the begin or the end. */
  struck(): void;
  /** Returns early when the run ends. */
  wait(milliseconds: number): Promise<void>;
}

/** Milliseconds, drawn between two bounds in seconds. */
export function between({ random }: Scene, fromSeconds: number, toSeconds: number): number {
  return Math.round((fromSeconds + random.next() * (toSeconds - fromSeconds)) * 1000);
}

const FREE_MEMBER_POLL_MS = 200;

/** A member nobody else has: waits until there is one. */
export async function takeMember(scene: Scene, role: Role): Promise<Member> {
  for (;;) {
    const member = scene.fleet.take(role);
    if (member) return member;
    scene.signal.throwIfAborted();
    await scene.wait(FREE_MEMBER_POLL_MS);
  }
}
