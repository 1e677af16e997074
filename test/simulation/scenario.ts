import type { OutboxOptions } from '../../lib/outbox/outbox-options.js';
import type { Prng } from './prng.js';

/** A consumer group of the application. */
export interface ListenerPlan {
  readonly group: string;
  readonly topic: string;
  readonly mode: 'concurrent' | 'ordered';
  readonly idempotent: 'transaction' | 'lease';
  readonly concurrency: number;
  /** How long a handler takes, milliseconds. */
  readonly workMs?: number;
  /** Each message makes another one through the outbox, for this topic. */
  readonly producesTo?: string;
  /** It takes so many messages at a time. */
  readonly batch?: number;
}

/** One business transaction. */
export interface JobPlan {
  readonly at: number;
  readonly machine: number;
  readonly kind: 'outbox' | 'transaction';
  /** Messages of the transaction; `key` orders them. */
  readonly messages: readonly { readonly label: string; readonly key: string | undefined }[];
  /**
   * - `commit`: ends well
   * - `throw`: the business fails at the end
   * - `swallow`: a statement fails, and the business goes on as if it had not
   */
  readonly end: 'commit' | 'throw' | 'swallow';
  /** Whether the application answers for the half message itself. */
  readonly ownChecker?: boolean;
  /** The business takes this long before it ends, milliseconds. */
  readonly workMs: number;
}

/** What a run is about. */
export interface Scenario {
  readonly name: string;
  readonly machines: number;
  readonly lanes: number;
  readonly queuesPerTopic: number;
  readonly ordering: 'natural' | 'strict';
  readonly outbox: OutboxOptions;
  readonly listeners: readonly ListenerPlan[];
  readonly jobs: readonly JobPlan[];
  readonly whenBrokerAway: 'throw' | 'outbox';
  /** A handler of this label fails that many times. */
  readonly failures: ReadonlyMap<string, number>;
  /** The broker refuses a message with this label that many times. */
  readonly refusals: ReadonlyMap<string, number>;
  /** So often an operator replays, or discards, what the broker refused for good, milliseconds. @default never */
  readonly operatorMs?: number;
  /** Labels that the operator throws away. */
  readonly discards?: ReadonlySet<string>;
  /** Keys have no order to keep, since dead messages let others pass. */
  readonly unordered?: boolean;
  /** What handlers and checks remember is removed after this time, looked for so often; milliseconds. @default never */
  readonly sweep?: { readonly everyMs: number; readonly retentionMs: number };
  /** When machines are stopped in good order, or killed, and started again; and when the broker is away. */
  readonly events: readonly WorldEvent[];
  readonly duplicateRate: number;
  /** How long the run lasts before faults end, milliseconds. */
  readonly chaosMs: number;
  readonly freezeMs: readonly number[];
  readonly slowMs: readonly number[];
  /** Longest time a call takes that is neither slow nor at once, milliseconds. */
  readonly latencyMs: number;
  readonly checkIntervalMs: number;
  readonly skews: readonly number[];
}

export type WorldEvent =
  | { readonly at: number; readonly kind: 'kill' | 'stop' | 'freeze'; readonly machine: number }
  | { readonly at: number; readonly kind: 'broker-away'; readonly ms: number }
  | { readonly at: number; readonly kind: 'database-restart' };

/** Short leases, so that takeovers happen within a run. */
export const SHORT_LEASES: OutboxOptions = {
  leaseMs: 5_000,
  renewMs: 1_500,
  surveyMs: 900,
  pollMinMs: 50,
  pollMaxMs: 2_000,
  sweepMs: 1_200,
  fetchSize: 16,
  maxRows: 100,
  maxInFlight: 4,
  batchSize: 4,
  batchesInFlight: 2,
  maxUnsettled: 8,
  sendTimeoutMs: 1_200,
  backoffMinMs: 50,
  backoffMaxMs: 1_000,
  retryMinMs: 200,
  retryMaxMs: 1_000,
  parkedScanMs: 900,
};

const BASE = {
  machines: 2,
  lanes: 2,
  queuesPerTopic: 2,
  ordering: 'natural',
  outbox: SHORT_LEASES,
  whenBrokerAway: 'throw',
  duplicateRate: 0.05,
  chaosMs: 6_000,
  freezeMs: [700, 3_000, 7_000, 12_000],
  slowMs: [300, 1_500, 4_000],
  latencyMs: 8,
  checkIntervalMs: 1_000,
  skews: [0, 0],
  failures: new Map<string, number>(),
  refusals: new Map<string, number>(),
  events: [] as readonly WorldEvent[],
} satisfies Partial<Scenario>;

type Job = JobPlan;

export function job(at: number, machine: number, labels: string, more: Partial<Job> = {}): Job {
  const messages = labels.split(' ').map((text) => {
    const [label = '', key] = text.split('@');
    return { label, key };
  });
  return { at, machine, kind: 'outbox', messages, end: 'commit', workMs: 0, ...more };
}

/** Nothing happens that the scenario does not say. */
export const QUIET = { ...BASE, duplicateRate: 0 };

const EFFECTS: ListenerPlan = {
  group: 'effects',
  topic: 'orders',
  mode: 'concurrent',
  idempotent: 'transaction',
  concurrency: 3,
};

/** Small ones, whose crash points are enumerated. */
export const SMALL_SCENARIOS: Readonly<Record<string, Scenario>> = {
  outbox: {
    ...BASE,
    name: 'outbox',
    listeners: [],
    jobs: [
      job(100, 0, 'a@k'),
      job(110, 1, 'b@k c', { workMs: 40 }),
      job(120, 0, 'x', { end: 'throw' }),
      job(130, 0, 'd@k e f'),
    ],
  },
  parking: {
    ...BASE,
    name: 'parking',
    lanes: 1,
    listeners: [],
    jobs: [
      job(100, 0, 'a@k'),
      job(150, 1, 'b@k c'),
      job(300, 0, 'd@k', { workMs: 60 }),
      job(310, 1, 'e@l'),
      job(700, 1, 'f@k g@k'),
    ],
    refusals: new Map([
      ['a', 2],
      ['d', 1],
      ['c', 1],
    ]),
  },
  consumer: {
    ...BASE,
    name: 'consumer',
    lanes: 1,
    listeners: [{ ...EFFECTS, producesTo: 'invoices' }],
    jobs: [job(100, 0, 'a'), job(150, 1, 'b c')],
    failures: new Map([['b', 1]]),
  },
  ordered: {
    ...BASE,
    name: 'ordered',
    lanes: 1,
    queuesPerTopic: 1,
    listeners: [{ ...EFFECTS, mode: 'ordered' }],
    jobs: [job(100, 0, 'a@k'), job(150, 1, 'b@k'), job(200, 0, 'c@k')],
    failures: new Map([['b', 1]]),
  },
  transaction: {
    ...BASE,
    name: 'transaction',
    lanes: 1,
    whenBrokerAway: 'outbox',
    listeners: [],
    jobs: [
      job(100, 0, 'a', { kind: 'transaction' }),
      job(150, 1, 'b', { kind: 'transaction', workMs: 2_500 }),
      job(200, 0, 'x', { kind: 'transaction', end: 'throw' }),
      job(250, 1, 'y', { kind: 'transaction', end: 'swallow' }),
    ],
  },
  lease: {
    ...BASE,
    name: 'lease',
    lanes: 1,
    listeners: [{ ...EFFECTS, idempotent: 'lease' }],
    jobs: [job(100, 0, 'a'), job(150, 1, 'b')],
    failures: new Map([['a', 1]]),
  },
};

/** A scenario that the seed makes up. */
export function randomScenario(random: Prng): Scenario {
  const machines = 1 + random.below(3);
  const kind = random.pick(['outbox', 'outbox', 'consumer', 'transaction', 'everything'] as const);
  const strict = random.chance(0.25);
  const chaosMs = 3_000 + random.below(9_000);
  const jobs = randomJobs(random, kind, machines);
  const ordered = random.chance(0.4);
  const consumes = kind === 'consumer' || kind === 'everything';
  const listeners: ListenerPlan[] = [];
  if (consumes) {
    const idempotent = random.chance(0.2) ? 'lease' : 'transaction';
    const chained = idempotent === 'transaction' && random.chance(0.4);
    listeners.push({
      ...EFFECTS,
      mode: ordered ? 'ordered' : 'concurrent',
      idempotent,
      concurrency: 1 + random.below(4),
      ...(chained && { producesTo: 'invoices' }),
    });
    if (chained && random.chance(0.5)) listeners.push({ ...EFFECTS, group: 'billing', topic: 'invoices' });
  }
  const failures = new Map<string, number>();
  for (const { messages } of jobs) {
    for (const { label } of messages) if (random.chance(0.1)) failures.set(label, 1 + random.below(2));
  }
  const refusals = new Map<string, number>();
  const refused = random.pick([0, 0, 0.1, 0.4]);
  for (const { kind: how, messages } of jobs) {
    for (const { label } of how === 'outbox' ? messages : []) {
      if (random.chance(refused)) refusals.set(label, 1 + random.below(3));
    }
  }
  return {
    ...BASE,
    name: kind,
    machines,
    lanes: random.pick([1, 2, 4]),
    queuesPerTopic: 1 + random.below(3),
    ordering: strict ? 'strict' : 'natural',
    outbox: {
      ...SHORT_LEASES,
      fetchSize: random.pick([2, 16, 100]),
      maxRows: random.pick([3, 20, 100]),
      batchSize: random.pick([1, 4, 32]),
      maxInFlight: random.pick([1, 4, 16]),
      maxUnsettled: random.pick([2, 8, 64]),
    },
    whenBrokerAway: random.pick(['throw', 'outbox']),
    listeners,
    jobs,
    failures,
    refusals,
    events: randomEvents(random, machines, chaosMs),
    duplicateRate: random.pick([0, 0.05, 0.3]),
    chaosMs,
    skews: Array.from({ length: machines }, () => (random.chance(0.3) ? (random.next() - 0.5) * 200_000 : 0)),
  };
}

function randomJobs(
  random: Prng,
  kind: 'outbox' | 'consumer' | 'transaction' | 'everything',
  machines: number,
): JobPlan[] {
  const count = 2 + random.below(kind === 'outbox' ? 12 : 6);
  const keys = ['k', 'l', 'm'].slice(0, 1 + random.below(3));
  const keyed = random.pick([0, 0.5, 1]);
  let next = 0;
  return Array.from({ length: count }, () => {
    const transactional = kind === 'transaction' || (kind === 'everything' && random.chance(0.3));
    const size = transactional ? 1 : 1 + random.below(3);
    return {
      at: 50 + random.below(3_000),
      machine: random.below(machines),
      kind: transactional ? ('transaction' as const) : ('outbox' as const),
      messages: Array.from({ length: size }, () => ({
        label: `m${next++}`,
        key: !transactional && random.chance(keyed) ? random.pick(keys) : undefined,
      })),
      end: random.chance(0.8) ? 'commit' : random.pick(['throw', 'swallow'] as const),
      workMs: random.chance(0.7) ? random.below(30) : random.below(4_000),
    };
  });
}

function randomEvents(random: Prng, machines: number, chaosMs: number): WorldEvent[] {
  if (random.chance(0.5)) return [];
  return Array.from({ length: 1 + random.below(3) }, (): WorldEvent => {
    const at = random.below(chaosMs);
    const kind = random.pick(['kill', 'stop', 'freeze', 'broker-away', 'database-restart'] as const);
    if (kind === 'broker-away') return { at, kind, ms: 200 + random.below(4_000) };
    if (kind === 'database-restart') return { at, kind };
    return { at, kind, machine: random.below(machines) };
  });
}
