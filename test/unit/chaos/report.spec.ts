import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../scripts/chaos/contract.js';
import type { FaultKind } from '../../../scripts/chaos/faults/fault.js';
import { isClean, renderReport, type RunFigures } from '../../../scripts/chaos/report.js';

const kind = (name: string, recoveryFrom?: 'begin'): FaultKind => ({
  name,
  touches: [],
  ...(recoveryFrom ? { recoveryFrom } : {}),
  strike: () => Promise.resolve(),
});

const VERDICT: Verdict = {
  committed: 100,
  delivered: 100,
  lost: 0,
  phantom: 0,
  duplicatedOnTheWire: 7,
  doubleEffects: 0,
  orderViolations: 0,
  otherViolations: 0,
  examples: [],
};

const FIGURES: RunFigures = {
  kinds: [kind('broker killed'), kind('relay killed', 'begin'), kind('clock skewed')],
  records: [
    { kind: 'broker killed', recovery: { ms: 900, unfinished: false } },
    { kind: 'broker killed', recovery: { ms: 120_000, unfinished: true } },
    { kind: 'broker killed', recovery: { ms: 1_500, unfinished: false } },
    { kind: 'relay killed', recovery: { ms: 6_000, unfinished: false } },
    { kind: 'relay killed' },
  ],
  verdict: VERDICT,
  violations: [],
  caughtUp: true,
  minutes: 10,
};

describe('the report of a chaos run', () => {
  it('shows every kind with its recovery: median and worst', () => {
    const lines = renderReport(FIGURES).split('\n');
    expect(lines).toContain('| broker killed | 3 | 1.5 s | > 120.0 s |');
    expect(lines).toContain('| relay killed * | 2 | 6.0 s | 6.0 s |');
    expect(lines).toContain('| clock skewed | 0 | - | - |');
    expect(lines).toContain('| faults injected | 5 |');
    expect(lines.at(-1)).toContain('Every law was kept: 100 messages committed, 5 faults of 3 kinds');
  });

  it.each([
    ['a lost message', { verdict: { ...VERDICT, lost: 1 } }],
    ['a phantom', { verdict: { ...VERDICT, phantom: 1 } }],
    ['a double effect', { verdict: { ...VERDICT, doubleEffects: 1 } }],
    ['a wrong order', { verdict: { ...VERDICT, orderViolations: 1 } }],
    ['something else', { verdict: { ...VERDICT, otherViolations: 1 } }],
    ['what the conductor saw', { violations: ['relay-1 ended by itself'] }],
    ['something that was never handled', { caughtUp: false }],
    ['a run without messages', { verdict: { ...VERDICT, committed: 0 } }],
  ])('%s is not clean', (_, change) => {
    const figures = { ...FIGURES, ...change };
    expect(isClean(FIGURES)).toBe(true);
    expect(isClean(figures)).toBe(false);
    expect(renderReport(figures)).not.toContain('Every law was kept');
  });
});
