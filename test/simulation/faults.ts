import type { Machine } from './machine.js';
import type { Prng } from './prng.js';

/**
 * What may go wrong where the code under test leaves its process.
 *
 * - `crash-before`, `crash-after`: the process dies before the call has an effect, or after it and before the answer
 * - `fail-before`, `fail-after`: the connection breaks, without and with the effect
 * - `lost-before`, `lost-after`: request or answer disappears, and the caller waits for its deadline (broker only)
 * - `slow-before`, `slow-after`: it takes seconds
 * - `freeze-before`, `freeze-after`: the process stands still for longer than a lease, and goes on as if nothing were
 * - `busy`, `refuse`: the broker says no, to everybody or to this message
 * - `deadlock`: the database chose this transaction as victim
 */
export type FaultKind =
  | 'crash-before'
  | 'crash-after'
  | 'fail-before'
  | 'fail-after'
  | 'lost-before'
  | 'lost-after'
  | 'slow-before'
  | 'slow-after'
  | 'freeze-before'
  | 'freeze-after'
  | 'busy'
  | 'refuse'
  | 'deadlock';

const EVERYWHERE = [
  'crash-before',
  'crash-after',
  'fail-before',
  'fail-after',
  'slow-before',
  'slow-after',
  'freeze-before',
  'freeze-after',
] as const satisfies readonly FaultKind[];

const SENDS = new Set(['broker.send', 'broker.send-batch']);

/** What can go wrong at a point. */
export function faultsAt(point: string): readonly FaultKind[] {
  if (point.startsWith('clock.')) return ['crash-before', 'freeze-before'];
  if (point.startsWith('broker.')) {
    const more: readonly FaultKind[] = ['lost-before', 'lost-after', 'busy'];
    return SENDS.has(point) ? [...EVERYWHERE, ...more, 'refuse'] : [...EVERYWHERE, ...more];
  }
  return point === 'db.connect' || point === 'db.rollback' ? EVERYWHERE : [...EVERYWHERE, 'deadlock'];
}

/** Decides, at each crossing of the border of a process, whether something goes wrong. */
export interface FaultPlan {
  /** For a seed that repeats the run. */
  readonly text: string;
  /** @param crossing counts all crossings of the run, from 0 */
  at(crossing: number, point: string, machine: Machine): FaultKind | undefined;
  /** Nothing goes wrong any more. */
  over(crossing: number): boolean;
}

export const NO_FAULTS: FaultPlan = { text: '-', at: () => undefined, over: () => true };

/** Faults at given crossings. One that does not exist at its point does nothing. */
export function scriptedFaults(script: ReadonlyMap<number, FaultKind>): FaultPlan {
  const last = Math.max(-1, ...script.keys());
  return {
    over: (crossing) => crossing > last,
    text: [...script].map(([crossing, kind]) => `${crossing}=${kind}`).join(','),
    at: (crossing, point) => {
      const kind = script.get(crossing);
      return kind !== undefined && faultsAt(point).includes(kind) ? kind : undefined;
    },
  };
}

/** A fault at a point, the first few times it is reached. */
interface PointFault {
  readonly kind: FaultKind;
  left: number;
}

/** Faults by the name of their point. */
function faultsByPoint(text: string, script: ReadonlyMap<string, PointFault>): FaultPlan {
  return {
    text,
    over: () => [...script.values()].every(({ left }) => left === 0),
    at: (_crossing, point) => {
      const fault = script.get(point);
      if (fault === undefined || fault.left === 0) return undefined;
      fault.left -= 1;
      return fault.kind;
    },
  };
}

/** Some faults anywhere, more often where something is at stake than at idle looks. */
export function randomFaults(random: Prng): FaultPlan {
  const budget = random.below(6);
  const rate = random.pick([0.003, 0.01, 0.03, 0.1]);
  const calm = random.below(120);
  let left = budget;
  return {
    text: 'random',
    over: () => left === 0,
    at: (crossing, point) => {
      if (left === 0 || crossing < calm) return undefined;
      const weight = point === 'clock.wake' ? 0.2 : IDLE.has(point) ? 0.5 : 2;
      if (!random.chance(rate * weight)) return undefined;
      left -= 1;
      return random.pick(faultsAt(point));
    },
  };
}

const IDLE = new Set([
  'db.outbox.fetch',
  'db.outbox.survey',
  'db.outbox.due-lanes',
  'broker.pull',
  'broker.members',
  'broker.route',
]);

/**
 * The plan of a text: `-` for none, `random`, crossings as `17=crash-after,40=fail-before`, or points with a number of
 * times as `broker.send=busy*3,db.commit=fail-after*1`.
 */
export function parseFaults(text: string, random: () => Prng): FaultPlan {
  if (text === '-') return NO_FAULTS;
  if (text === 'random') return randomFaults(random());
  const parts = text.split(',');
  if (text.includes('*')) {
    const points = parts.map((part): [string, PointFault] => {
      const [point = '', kind = '', times = '1'] = part.split(/[=*]/);
      return [point, { kind: kind as FaultKind, left: Number(times) }];
    });
    return faultsByPoint(text, new Map(points));
  }
  const script = parts.map((part): [number, FaultKind] => {
    const [crossing, kind] = part.split('=');
    return [Number(crossing), kind as FaultKind];
  });
  return scriptedFaults(new Map(script));
}
