/**
 * Runs every suite with whatever it needs started for it, and ends with one line: `N passed, N failed`.
 */
import { parseArgs } from 'node:util';
import { findMariadb, startMariadb, type Mariadb } from './stack/mariadb.js';
import { startPostgres, type Postgres } from './stack/postgres.js';
import { onShutdown, shutdownSignal } from './stack/shutdown.js';
import { StackError, startStack, type Stack } from './stack/stack.js';
import { runVitest } from './testing/run-vitest.js';
import { PROJECTS, selectSuites, suiteLabel, type Project, type Suite } from './testing/suites.js';
import {
  addCounts,
  exitCodeOf,
  formatCounts,
  NOT_RUN,
  NOTHING,
  type TestCounts,
} from './testing/test-counts.js';

const HELP = `Runs the tests with whatever they need started for them.

  npm test                                every suite
  npm test -- --project unit              ${PROJECTS.join(', ')}; may be repeated
  npm test -- --filter outbox             specs with this in their path; may be repeated
  npm test -- --release 4.9.7             the engine on this release only

ROCKETMQ_NAME_SERVER, DATABASE_URL (PostgreSQL) and MARIADB_URL (MariaDB) name servers that are already
running; those are used then, and the engine is tested on that RocketMQ alone (ROCKETMQ_VERSION says which it is).
A machine without MariaDB leaves its tests out; with CI=true that is a failure. Ctrl-C stops everything.`;

const signal = shutdownSignal();

/** Starts servers when the first suite needs them, and keeps them for the next. */
class TestServers {
  private stack: Stack | undefined;
  private postgres: Postgres | undefined;
  private mariadb: Mariadb | undefined;

  /** @throws StackError when they cannot be had. */
  async environmentFor(suite: Suite): Promise<Record<string, string>> {
    const environment: Record<string, string> = {};
    if (suite.release !== undefined) {
      environment['ROCKETMQ_NAME_SERVER'] =
        process.env['ROCKETMQ_NAME_SERVER'] ?? (await this.stackOf(suite.release)).nameServer;
      environment['ROCKETMQ_VERSION'] = suite.release;
    }
    if (suite.postgres) {
      environment['DATABASE_URL'] = process.env['DATABASE_URL'] ?? (await this.database()).url;
    }
    if (suite.mariadb && !process.env['MARIADB_URL'] && findMariadb() !== undefined) {
      environment['MARIADB_URL'] = (await this.secondDatabase()).url;
    }
    return environment;
  }

  private async stackOf(release: string): Promise<Stack> {
    if (this.stack?.release === release) return this.stack;
    await this.stack?.stop();
    this.stack = undefined;
    this.stack = await startStack({
      name: `tests-${process.pid}`,
      release,
      signal,
      onProgress: (line) => console.log(`  ${line}`),
    });
    return this.stack;
  }

  private async database(): Promise<Postgres> {
    if (this.postgres === undefined) {
      this.postgres = await startPostgres({
        name: `tests-${process.pid}`,
        onProgress: (line) => console.log(`  ${line}`),
      });
      console.log(`  PostgreSQL is ready at 127.0.0.1:${this.postgres.port}`);
    }
    return this.postgres;
  }

  private async secondDatabase(): Promise<Mariadb> {
    if (this.mariadb === undefined) {
      this.mariadb = await startMariadb({ onProgress: (line) => console.log(`  ${line}`) });
      console.log(`  MariaDB ${this.mariadb.version} is ready at 127.0.0.1:${this.mariadb.port}`);
    }
    return this.mariadb;
  }

  async stop(): Promise<void> {
    await Promise.all([this.stack?.stop(), this.postgres?.stop(), this.mariadb?.stop()]);
  }
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      project: { type: 'string', multiple: true },
      filter: { type: 'string', multiple: true },
      release: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  for (const project of values.project ?? []) {
    if (!PROJECTS.includes(project as Project)) {
      throw new StackError(`There is no suite '${project}'. There are: ${PROJECTS.join(', ')}.`);
    }
  }
  return values;
}

function suitesFor(flags: ReturnType<typeof readArguments>): Suite[] {
  const givenCluster = process.env['ROCKETMQ_NAME_SERVER']
    ? { release: process.env['ROCKETMQ_VERSION'] }
    : undefined;
  const suites = selectSuites({
    ...(flags.project ? { projects: flags.project as Project[] } : {}),
    ...(flags.filter ? { filters: flags.filter } : {}),
    ...(givenCluster ? { givenCluster } : {}),
  });
  if (givenCluster) {
    console.log(
      `RocketMQ: the cluster at ${process.env['ROCKETMQ_NAME_SERVER']} (ROCKETMQ_NAME_SERVER), no other release`,
    );
  }
  return suites.filter((suite) => flags.release === undefined || suite.release === flags.release);
}

async function runSuite(suite: Suite, servers: TestServers): Promise<TestCounts> {
  console.log(`\n=== ${suiteLabel(suite)}: ${suite.specs.length} files ===`);
  try {
    const environment = await servers.environmentFor(suite);
    const counts = await runVitest(suite, environment, signal);
    return addCounts(counts, missingServers(suite, environment));
  } catch (error) {
    if (signal.aborted) throw error;
    console.error(
      `The suite could not be started: ${error instanceof StackError ? error.message : String(error)}`,
    );
    return NOT_RUN;
  }
}

/** What a machine lacks is left out, but where everything was to be installed it is a failure. */
function missingServers(suite: Suite, environment: Readonly<Record<string, string>>): TestCounts {
  if (!suite.mariadb || process.env['MARIADB_URL'] || environment['MARIADB_URL']) return NOTHING;
  console.log(
    'MariaDB: not installed (apt-get install mariadb-server, or set MARIADB_URL), so its tests did not run.',
  );
  return process.env['CI'] === 'true' ? NOT_RUN : NOTHING;
}

async function runAll(suites: readonly Suite[]): Promise<TestCounts> {
  const servers = new TestServers();
  const work = (async () => {
    let total = NOTHING;
    const results: string[] = [];
    try {
      for (const suite of suites) {
        const begin = performance.now();
        const counts = await runSuite(suite, servers);
        total = addCounts(total, counts);
        const seconds = ((performance.now() - begin) / 1000).toFixed(0);
        results.push(`  ${suiteLabel(suite)}: ${formatCounts(counts)} (${seconds} s)`);
      }
    } finally {
      await servers.stop();
    }
    console.log(`\n${results.join('\n')}`);
    return total;
  })();
  // Interrupted: what is under way notices the signal, ends, and stops the servers.
  const withdraw = onShutdown(() => work.catch(() => {}));
  const total = await work;
  withdraw();
  return total;
}

try {
  const flags = readArguments();
  if (flags.help) {
    console.log(HELP);
  } else {
    const suites = suitesFor(flags);
    if (suites.length === 0) console.error('No spec matches.');
    const total = await runAll(suites);
    process.exitCode = exitCodeOf(total);
    console.log(formatCounts(total));
  }
} catch (error) {
  if (!signal.aborted) {
    console.error(error instanceof Error ? error.message : error);
    console.log(formatCounts(NOT_RUN));
    process.exitCode = 1;
  }
}
