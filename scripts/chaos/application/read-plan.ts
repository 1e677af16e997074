import type { ProcessPlan } from '../contract.js';

export const PLAN_VARIABLE = 'CHAOS_PROCESS';

/** What this process is to be, as it was told by whoever started it. */
export function readPlan(): ProcessPlan {
  const text = process.env[PLAN_VARIABLE];
  if (text === undefined) throw new Error(`${PLAN_VARIABLE} is not set: start this with startChaosProcess`);
  return JSON.parse(text) as ProcessPlan;
}
