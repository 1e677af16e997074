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
  const areas = [
    await benchDrain(context, database),
    await benchSteadyState(context, database),
    await benchBusinessTransaction(context, database),
  ];
  if (database.name === 'SQLite') return areas;
  areas.push(await benchInstances(context, database), await benchTakeover(context, database));
  if (context.plan.full && database.name === 'PostgreSQL') areas.push(await benchLongRuns(context, database));
  return areas;
}
