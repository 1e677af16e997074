import { describe, expect, it } from 'vitest';
import { selectSuites, suiteLabel, type Project } from '../../../scripts/testing/suites.js';
import { exitCodeOf, formatCounts, judgeRun } from '../../../scripts/testing/test-counts.js';

const findSpecs = (project: Project): string[] => [
  `test/${project}/a.spec.ts`,
  `test/${project}/outbox/b.spec.ts`,
];
const labels = (selection: Parameters<typeof selectSuites>[0]): string[] =>
  selectSuites({ findSpecs, ...selection }).map(suiteLabel);

describe('the suites of npm test', () => {
  it('are all projects on the default release, and the engine again on the other', () => {
    expect(labels({})).toEqual([
      'unit',
      'engine (RocketMQ 5.5.0)',
      'integration (RocketMQ 5.5.0, PostgreSQL, MariaDB)',
      'e2e (RocketMQ 5.5.0, PostgreSQL)',
      'engine (RocketMQ 4.9.7)',
    ]);
  });

  it('stay with the cluster that is given', () => {
    expect(labels({ projects: ['engine'], givenCluster: { release: '4.9.7' } })).toEqual([
      'engine (RocketMQ 4.9.7)',
    ]);
    expect(labels({ projects: ['engine'], givenCluster: {} })).toEqual(['engine (RocketMQ 5.5.0)']);
  });

  it('leave out projects in which no spec matches', () => {
    const suites = selectSuites({ findSpecs, filters: ['unit/outbox'] });
    expect(suites).toMatchObject([{ project: 'unit', specs: ['test/unit/outbox/b.spec.ts'] }]);
  });
});

describe('the last line of npm test', () => {
  it.each([
    [{ passed: 3, failed: 0, skipped: 0 }, '3 passed, 0 failed', 0],
    [{ passed: 3, failed: 1, skipped: 2 }, '3 passed, 1 failed, 2 skipped', 1],
    [{ passed: 0, failed: 0, skipped: 5 }, '0 passed, 0 failed, 5 skipped', 1],
  ])('says %o as %s', (counts, line, code) => {
    expect(formatCounts(counts)).toBe(line);
    expect(exitCodeOf(counts)).toBe(code);
  });

  it('counts a run that left no summary, or ended badly without a failed test, as a failure', () => {
    const fine = { passed: 3, failed: 0, skipped: 0 };
    expect(judgeRun(0, fine)).toEqual(fine);
    expect(judgeRun(1, undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(judgeRun(0, undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(judgeRun(1, fine)).toEqual({ passed: 3, failed: 1, skipped: 0 });
    expect(judgeRun(1, { passed: 3, failed: 2, skipped: 0 })).toEqual({ passed: 3, failed: 2, skipped: 0 });
  });
});
