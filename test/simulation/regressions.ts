import { job, QUIET, type Scenario } from './scenario.js';

/** What led to a defect that was found, as small as it could be made. Each has its story in docs/reliability.md. */
export const REGRESSIONS: Readonly<Record<string, Scenario>> = {
  /** Rows of a slow transaction, and later rows of the same key, written by an instance that does not hold the lane. */
  overtaken: {
    ...QUIET,
    name: 'overtaken',
    machines: 3,
    lanes: 1,
    listeners: [],
    // Looks come often, sweeps seldom.
    outbox: { ...QUIET.outbox, pollMaxMs: 60, sweepMs: 5_000 },
    jobs: [0, 1, 2].flatMap((machine) => [
      job(6_000 * (machine + 1), machine, `a${machine}@k`, { workMs: 900 }),
      ...[0, 1, 2].flatMap((other) => [
        job(6_000 * (machine + 1) + 50, other, `b${machine}${other}`),
        job(6_000 * (machine + 1) + 300, other, `c${machine}${other}@k`),
      ]),
    ]),
  },
  /** A transaction writes to a key, waits for another one, and writes to the key again; meanwhile others are read. */
  'own-transaction': {
    ...QUIET,
    name: 'own-transaction',
    machines: 3,
    lanes: 1,
    listeners: [],
    outbox: { ...QUIET.outbox, pollMaxMs: 60, sweepMs: 700 },
    jobs: [0, 1, 2].flatMap((machine) => [
      job(5_000 * machine + 1_000, (machine + 1) % 3, `w${machine}@l`, { workMs: 2_500 }),
      job(5_000 * machine + 1_050, machine, `a${machine}@k b${machine}@l c${machine}@k`, { workMs: 1_400 }),
      ...[0, 1, 2].map((other) => job(5_000 * machine + 1_300, other, `n${machine}${other}`)),
    ]),
  },
  /** Looks that are quicker than the answer to COMMIT. */
  'found-first': {
    ...QUIET,
    name: 'found-first',
    machines: 1,
    lanes: 1,
    listeners: [],
    outbox: { ...QUIET.outbox, pollMinMs: 1, pollMaxMs: 2 },
    latencyMs: 300,
    jobs: Array.from({ length: 30 }, (_, index) => job(100 + index * 97, 0, `a${index}`)),
  },
  /** Told to stop while it starts. */
  'stopped-early': {
    ...QUIET,
    name: 'stopped-early',
    machines: 1,
    listeners: [],
    jobs: [job(1_500, 0, 'a')],
    events: [{ at: 2, kind: 'stop', machine: 0 }],
  },
  /** Two instances with the same message while a queue changes hands: one fails, and the other asks what became of it. */
  'released-between': {
    ...QUIET,
    name: 'released-between',
    lanes: 1,
    latencyMs: 60,
    listeners: [
      { group: 'effects', topic: 'orders', mode: 'concurrent', idempotent: 'lease', concurrency: 4 },
    ],
    jobs: Array.from({ length: 80 }, (_, index) => job(100 + index * 40, 0, `a${index}`)),
    failures: new Map(Array.from({ length: 80 }, (_, index) => [`a${index}`, 1])),
    events: [300, 1_100, 1_900, 2_700].map((at) => ({ at, kind: 'kill', machine: 1 }) as const),
  },
};
