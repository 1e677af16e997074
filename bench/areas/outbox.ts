import type { BenchContext } from '../context.js';
import type { BenchDatabase } from '../databases.js';
import { benchDrain } from '../outbox/drain-area.js';
import { benchInstances, benchTakeover } from '../outbox/instances-area.js';
import { benchLongRuns } from '../outbox/long-runs-area.js';
import { benchSteadyState } from '../outbox/steady-state-area.js';
import { benchBusinessTransaction } from '../outbox/transaction-area.js';
import type { Area } from '../report.js';

/** The outbox on every database there is; several instances only on servers. */
export async function benchOutbox(context: BenchContext): Promise<readonly Area[]> {
  const areas: Area[] = [];
  for (const database of await context.databases()) areas.push(...(await benchOn(context, database)));
  return areas;
}

async function benchOn(context: BenchContext, database: BenchDatabase): Promise<readonly Area[]> {
  const parts: [string, typeof benchDrain][] = [
    ['drain', benchDrain],
    ['steady state', benchSteadyState],
    ['business transaction', benchBusinessTransaction],
  ];
  if (database.name !== 'SQLite') parts.push(['instances', benchInstances], ['takeover', benchTakeover]);
  if (context.plan.full && database.name === 'PostgreSQL') parts.push(['long runs', benchLongRuns]);
  const areas: Area[] = [];
  for (const [name, measure] of parts)
    areas.push(...(await context.part(`outbox ${database.name} ${name}`, () => measure(context, database))));
  return areas;
}
