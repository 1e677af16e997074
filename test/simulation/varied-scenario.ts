import type { Prng } from './prng.js';
import { randomScenario, type JobPlan, type ListenerPlan, type Scenario } from './scenario.js';

/** A scenario made up by chance, with one or more of what is rarer: operators, batches, long leases, own checkers. */
export function variedScenario(random: Prng): Scenario {
  const plain = randomScenario(random);
  const jobs = random.chance(0.5) ? plain.jobs.map(withOwnChecker) : plain.jobs;
  const [first, ...rest] = plain.listeners;
  const listeners = first === undefined ? [] : [variedListener(first, random), ...rest];
  const scenario = { ...plain, name: `varied ${plain.name}`, jobs, listeners };
  return random.chance(0.6) ? withOperator(scenario, random) : scenario;
}

function withOwnChecker(job: JobPlan): JobPlan {
  return job.kind === 'transaction' ? { ...job, ownChecker: true } : job;
}

function variedListener(listener: ListenerPlan, random: Prng): ListenerPlan {
  const { idempotent, mode, producesTo } = listener;
  if (idempotent === 'lease') return { ...listener, workMs: 500 + random.below(7_000) };
  if (mode === 'ordered' || producesTo !== undefined) return listener;
  return { ...listener, batch: 2 + random.below(6) };
}

/** The broker refuses for good what it refuses once or twice. */
function withOperator(scenario: Scenario, random: Prng): Scenario {
  const behindDead = random.pick(['block', 'skip'] as const);
  const refusals = new Map<string, number>();
  const discards = new Set<string>();
  for (const { kind, messages } of scenario.jobs) {
    for (const { label } of kind === 'outbox' ? messages : []) {
      if (!random.chance(0.3)) continue;
      refusals.set(label, 1 + random.below(3));
      if (random.chance(0.3)) discards.add(label);
    }
  }
  return {
    ...scenario,
    outbox: { ...scenario.outbox, behindDead, maxAttempts: 1 + random.below(2) },
    refusals,
    discards,
    unordered: behindDead === 'skip',
    operatorMs: 700 + random.below(3_000),
  };
}
