import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { projectFolder } from '../stack/folders.js';
import { spawnTied } from '../stack/tied-process.js';
import { SUMMARY_FILE_VARIABLE } from './summary-reporter.js';
import type { Suite } from './suites.js';
import { judgeRun, type TestCounts } from './test-counts.js';

const REPORTER = fileURLToPath(new URL('./summary-reporter.ts', import.meta.url));
const STOP_GRACE = 5000;

function vitestCommand(): string {
  const packagePath = createRequire(import.meta.url).resolve('vitest/package.json');
  return join(dirname(packagePath), 'vitest.mjs');
}

/** The process group: vitest and its workers, which would go on without it. */
function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // It has ended.
  }
}

/** Runs a suite in a process of its own. Whatever happens to that process, there are counts. */
export async function runVitest(
  suite: Suite,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<TestCounts> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-rocketmq-tests-'));
  const summaryFile = join(folder, 'summary.json');
  try {
    signal.throwIfAborted();
    const vitest = await spawnTied({
      command: process.execPath,
      args: [
        vitestCommand(),
        'run',
        '--project',
        suite.project,
        '--reporter=default',
        `--reporter=${REPORTER}`,
        ...suite.specs,
      ],
      cwd: projectFolder,
      env: {
        ...process.env,
        ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
        ...environment,
        [SUMMARY_FILE_VARIABLE]: summaryFile,
      },
    });
    const stop = (): void => {
      signalGroup(vitest.group, 'SIGTERM');
      void delay(STOP_GRACE, undefined, { ref: false }).then(() => signalGroup(vitest.group, 'SIGKILL'));
    };
    const limit = setTimeout(() => {
      console.error(`The suite has not ended after ${suite.limitMinutes} minutes and is stopped.`);
      stop();
    }, suite.limitMinutes * 60_000);
    signal.addEventListener('abort', stop, { once: true });
    const code = await vitest.exited;
    clearTimeout(limit);
    signal.removeEventListener('abort', stop);
    // Workers that outlived vitest.
    signalGroup(vitest.group, 'SIGKILL');
    const summary = await readFile(summaryFile, 'utf8').catch(() => undefined);
    return judgeRun(code, summary === undefined ? undefined : (JSON.parse(summary) as TestCounts));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
