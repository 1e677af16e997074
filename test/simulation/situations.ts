import { job, QUIET, type Scenario } from './scenario.js';

const LETTERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** Corners of the code that neither small scenarios nor chance come to often. */
export const SITUATIONS: Readonly<Record<string, Scenario>> = {
  /** Slow transactions of instances that do not hold the lane: nobody says that their rows are there. */
  'slow-transaction': {
    ...QUIET,
    name: 'slow-transaction',
    machines: 3,
    lanes: 1,
    listeners: [],
    outbox: { ...QUIET.outbox, pollMaxMs: 60 },
    jobs: [0, 1, 2].flatMap((machine) => [
      job(2_000 * (machine + 1), machine, `a${machine}`, { workMs: 900 }),
      ...[0, 1, 2].map((other) => job(2_000 * (machine + 1) + 100, other, `b${machine}${other}`)),
    ]),
  },
  /** Answers to COMMIT that come while a look is under way, after a later row of the same key is there. */
  rewound: {
    ...QUIET,
    name: 'rewound',
    lanes: 1,
    listeners: [],
    latencyMs: 250,
    outbox: { ...QUIET.outbox, pollMinMs: 20, pollMaxMs: 60, sweepMs: 5_000 },
    jobs: Array.from({ length: 10 }, (_, index) => 1_000 * (index + 1)).flatMap((at, index) => [
      job(at, 0, `a${index}@k`, { workMs: 400 }),
      job(at + 200, 1, `n${index}`),
      job(at + 220, 0, `o${index}`),
      job(at + 300, 1, `b${index}@k`),
    ]),
  },
  /** An instance stands still while it puts rows aside, and goes on when its lane has just gone to another one. */
  'parked-late': {
    ...QUIET,
    name: 'parked-late',
    lanes: 1,
    listeners: [],
    latencyMs: 400,
    freezeMs: [3_600, 3_900, 4_200, 4_500, 4_800, 5_100, 5_400],
    jobs: [
      ...LETTERS.map((key, index) => job(100 + index * 30, index % 2, `${key}@${key}`)),
      ...LETTERS.map((key, index) => job(3_500 + index * 350, index % 2, `${key}1@${key}`)),
    ],
    refusals: new Map(LETTERS.map((label) => [label, 1])),
    chaosMs: 12_000,
  },
  /** The broker refuses messages for good; those behind them wait until the operator has decided. */
  dead: {
    ...QUIET,
    name: 'dead',
    chaosMs: 12_000,
    lanes: 1,
    listeners: [],
    outbox: { ...QUIET.outbox, maxAttempts: 1 },
    jobs: LETTERS.map((label, index) =>
      job(100 + index * 400, index % 2, `${label}@k ${label}1@l ${label}2`),
    ),
    refusals: new Map([
      ['a', 2],
      ['c', 1],
      ['b1', 2],
      ['d1', 1],
      ['c2', 1],
    ]),
    discards: new Set(['c', 'b1']),
    operatorMs: 1_300,
  },
  /** The same, and dead messages let those behind them pass. */
  'dead-skipped': {
    ...QUIET,
    name: 'dead-skipped',
    chaosMs: 12_000,
    lanes: 1,
    listeners: [],
    outbox: { ...QUIET.outbox, maxAttempts: 2, behindDead: 'skip', fetchSize: 2 },
    jobs: LETTERS.map((label, index) => job(100 + index * 120, index % 2, `${label}@k ${label}1@k`)),
    refusals: new Map([
      ['a', 3],
      ['c', 2],
      ['e1', 2],
    ]),
    discards: new Set(['e1']),
    unordered: true,
    operatorMs: 1_300,
  },
  /** Handlers that take longer than their lease, and every message comes twice. */
  'lease-renewed': {
    ...QUIET,
    name: 'lease-renewed',
    chaosMs: 12_000,
    lanes: 1,
    duplicateRate: 1,
    listeners: [
      {
        group: 'effects',
        topic: 'orders',
        mode: 'concurrent',
        idempotent: 'lease',
        concurrency: 4,
        workMs: 9_000,
      },
    ],
    jobs: [job(100, 0, 'a'), job(200, 1, 'b')],
  },
  /** A process dies while its handlers run, after a round of offsets. */
  'killed-at-work': {
    ...QUIET,
    name: 'killed-at-work',
    lanes: 1,
    listeners: [
      {
        group: 'effects',
        topic: 'orders',
        mode: 'concurrent',
        idempotent: 'transaction',
        concurrency: 4,
        workMs: 1_700,
      },
    ],
    jobs: LETTERS.map((label, index) => job(100 + index * 40, index % 2, label)),
    events: [
      { at: 1_600, kind: 'kill', machine: 0 },
      { at: 1_650, kind: 'kill', machine: 1 },
    ],
  },
  /** Instances that leave in good order, one after the other, while messages come twice. */
  leaving: {
    ...QUIET,
    name: 'leaving',
    chaosMs: 12_000,
    ordering: 'strict',
    duplicateRate: 1,
    listeners: [
      { group: 'effects', topic: 'orders', mode: 'concurrent', idempotent: 'transaction', concurrency: 2 },
    ],
    jobs: LETTERS.slice(0, 4).map((label, index) =>
      job(100 + index * 700, index % 2, `${label}@k ${label}1`),
    ),
    events: [
      { at: 900, kind: 'stop', machine: 0 },
      { at: 2_500, kind: 'stop', machine: 1 },
    ],
  },
  /** Batches in which some messages are to come again. */
  batch: {
    ...QUIET,
    name: 'batch',
    lanes: 1,
    duplicateRate: 0.3,
    listeners: [
      {
        group: 'effects',
        topic: 'orders',
        mode: 'concurrent',
        idempotent: 'transaction',
        concurrency: 2,
        batch: 4,
      },
    ],
    jobs: LETTERS.slice(0, 4).map((label, index) =>
      job(100 + index * 60, index % 2, `${label} ${label}1 ${label}2`),
    ),
    failures: new Map([
      ['a1', 1],
      ['b', 2],
      ['c2', 1],
    ]),
  },
  /** What was handled and what was committed is forgotten after a while, by one instance at a time. */
  swept: {
    ...QUIET,
    name: 'swept',
    chaosMs: 62_000,
    lanes: 1,
    duplicateRate: 0.5,
    sweep: { everyMs: 4_000, retentionMs: 45_000 },
    listeners: [
      { group: 'effects', topic: 'orders', mode: 'concurrent', idempotent: 'transaction', concurrency: 2 },
      { group: 'outside', topic: 'orders', mode: 'concurrent', idempotent: 'lease', concurrency: 2 },
    ],
    jobs: [
      job(100, 0, 'a b'),
      job(150, 1, 'c', { kind: 'transaction' }),
      job(56_000, 0, 'd'),
      job(56_100, 1, 'e', { kind: 'transaction' }),
    ],
  },
  /** The application answers checks itself. */
  'own-checker': {
    ...QUIET,
    name: 'own-checker',
    lanes: 1,
    listeners: [],
    jobs: [
      job(100, 0, 'a', { kind: 'transaction', ownChecker: true }),
      job(150, 1, 'b', { kind: 'transaction', ownChecker: true, workMs: 2_500 }),
      job(200, 0, 'x', { kind: 'transaction', ownChecker: true, end: 'throw' }),
      job(250, 1, 'y', { kind: 'transaction', ownChecker: true, end: 'swallow' }),
    ],
  },
};
