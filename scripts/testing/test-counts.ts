/** What one or several runs came to. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: TestCounts = { passed: 0, failed: 0, skipped: 0 };

/** A suite that could not be run at all is a failure, however few tests it has. */
export const NOT_RUN: TestCounts = { passed: 0, failed: 1, skipped: 0 };

export function addCounts(one: TestCounts, other: TestCounts): TestCounts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  };
}

/** The line scripts look for. */
export function formatCounts({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Zero only when something ran and nothing failed. */
export const exitCodeOf = ({ passed, failed }: TestCounts): number => (failed === 0 && passed > 0 ? 0 : 1);

/**
 * What counts for a run of vitest: its own summary, unless it left none (it crashed), or ended badly although no test
 * failed.
 */
export function judgeRun(exitCode: number, summary: TestCounts | undefined): TestCounts {
  if (summary === undefined) return NOT_RUN;
  return exitCode !== 0 && summary.failed === 0 ? addCounts(summary, NOT_RUN) : summary;
}
