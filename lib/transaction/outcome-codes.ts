import type { LocalOutcome } from './transaction-log.js';

/** Outcomes as the tables hold them. */
export const OUTCOME_CODES: Readonly<Record<LocalOutcome, string>> = {
  committed: 'C',
  'rolled-back': 'R',
  outboxed: 'O',
};

export function outcomeOf(code: unknown): LocalOutcome | undefined {
  for (const [outcome, known] of Object.entries(OUTCOME_CODES)) {
    if (known === code) return outcome as LocalOutcome;
  }
  return undefined;
}
