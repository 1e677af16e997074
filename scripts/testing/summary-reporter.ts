import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from 'vitest/node';
import type { TestCounts } from './test-counts.js';

/** Where the counts go, told by the one who starts vitest. */
export const SUMMARY_FILE_VARIABLE = 'TEST_SUMMARY_FILE';

/**
 * Counts what vitest's own last lines leave out: files that could not be imported, hooks that threw, errors outside
 * of any test, tests that never ran because the run was cut short.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    let passed = 0;
    let skipped = 0;
    let failed = unhandledErrors.length + (reason === 'interrupted' ? 1 : 0);
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed++;
        else if (state === 'skipped') skipped++;
        else failed++;
      }
    }
    const counts: TestCounts = { passed, failed, skipped };
    const path = process.env[SUMMARY_FILE_VARIABLE];
    if (path) writeFileSync(path, JSON.stringify(counts));
  }
}
