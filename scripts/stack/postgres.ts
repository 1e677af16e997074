import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { projectFolder, runtimeFolder } from './folders.js';
import { choosePorts, isPortFree, portReservations } from './ports.js';
import { findBinaries, isReachableByOthers, type PostgresBinaries } from './postgres-binaries.js';
import { isAlive, signalProcess, waitForExit, type ProcessIdentity } from './process-identity.js';
import { serverUser, type OperatingSystemUser } from './server-user.js';
import { StackError } from './stack-error.js';
import { makeServerFolder, markThrowAway, sweepAbandoned } from './throw-away-folder.js';
import { spawnTied } from './tied-process.js';

export interface PostgresOptions {
  /** Its data lives in a folder of this name. @default 'dev' */
  readonly name?: string;
  /** Fixed. Not given: 54329 when free, otherwise another. */
  readonly port?: number;
  /** The data of an earlier server of this name is used again and stays after the stop. @default false */
  readonly persistent?: boolean;
  readonly onProgress?: (line: string) => void;
}

/** A running PostgreSQL of our own. Ends with this process. */
export interface Postgres {
  /** Superuser, database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly running: boolean;
  readonly pid: number | undefined;
  /** A fast shutdown. May be called again. */
  stop(): Promise<void>;
  /** SIGKILL of the server: a crash. Committed transactions survive it. */
  kill(): Promise<void>;
  /** Stops it when it runs, then starts it: same data, same port. */
  restart(): Promise<void>;
}

const USUAL_PORT = 54_329;
const USER = 'postgres';
const LIMIT = 30_000;

/** A commit survives the death of the process (not of the machine): no fsync, but nothing asynchronous either. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  fsync: 'off',
  full_page_writes: 'off',
};

/** As root the server is somebody else, who may not be able to enter the project. */
function dataFolder(name: string, user: OperatingSystemUser): string {
  if (user.uid === undefined || isReachableByOthers(runtimeFolder))
    return join(runtimeFolder, `${name}-postgres`);
  const project = createHash('sha256').update(projectFolder).digest('hex').slice(0, 8);
  return join(tmpdir(), `nestjs-rocketmq-${project}`, `${name}-postgres`);
}

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

class LocalPostgres implements Postgres {
  readonly url: string;
  private current: ProcessIdentity | undefined;
  private stopping: Promise<void> | undefined;

  constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly binaries: PostgresBinaries,
    private readonly user: OperatingSystemUser,
    private readonly persistent: boolean,
  ) {
    this.url = `postgres://${USER}:postgres@127.0.0.1:${port}/postgres`;
  }

  get running(): boolean {
    return this.current !== undefined && isAlive(this.current);
  }
  get pid(): number | undefined {
    return this.running ? this.current?.pid : undefined;
  }

  private get cluster(): string {
    return join(this.folder, 'data');
  }
  private get logFile(): string {
    return join(this.folder, 'postgres.log');
  }

  async initialise(): Promise<void> {
    await makeServerFolder(this.folder, this.user);
    if (!this.persistent) await markThrowAway(this.folder);
    if (await exists(join(this.cluster, 'PG_VERSION'))) return;
    const initdb = await spawnTied({
      command: this.binaries.initdb,
      args: ['-D', this.cluster, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      // LD_LIBRARY_PATH and PG* of the surroundings are not ours.
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      cwd: this.folder,
      logFile: this.logFile,
      ...this.user,
    });
    const code = await initdb.exited;
    if (code !== 0) throw await this.failure(`initdb ended with code ${code}`);
  }

  async start(): Promise<void> {
    const deadline = performance.now() + LIMIT;
    for (;;) {
      await this.launch();
      const failure = await this.untilReady(deadline);
      if (failure === undefined) return;
      // After a crash the children of the dead server need a moment to notice.
      const retry = /pre-existing shared memory|lock file .* already exists/.test(failure.message);
      if (!retry || performance.now() > deadline) throw failure;
      await delay(200);
    }
  }

  private async launch(): Promise<void> {
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.current = await spawnTied({
      command: this.binaries.postgres,
      args: ['-D', this.cluster, '-p', String(this.port), ...settings],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      cwd: this.folder,
      logFile: this.logFile,
      deathSignal: 'QUIT',
      background: true,
      ...this.user,
    });
  }

  private async untilReady(deadline: number): Promise<StackError | undefined> {
    for (;;) {
      if (!this.running) return this.failure('PostgreSQL ended while it was starting');
      if (await this.answers()) return undefined;
      if (performance.now() > deadline)
        return this.failure(`PostgreSQL was not ready after ${LIMIT / 1000} s`);
      await delay(20);
    }
  }

  private async answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 2000 });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('SELECT 1');
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }

  async restart(): Promise<void> {
    await this.halt();
    await this.start();
  }

  async kill(): Promise<void> {
    if (!this.current) return;
    signalProcess(this.current, 'SIGKILL');
    await waitForExit(this.current, LIMIT);
    // Its children hold the port until they have noticed.
    const deadline = performance.now() + LIMIT;
    while (!(await isPortFree(this.port)) && performance.now() < deadline) await delay(20);
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopNow();
    return this.stopping;
  }

  private async stopNow(): Promise<void> {
    await this.halt();
    portReservations.release([this.port]);
    if (!this.persistent) await rm(this.folder, { recursive: true, force: true });
  }

  private async halt(): Promise<void> {
    if (!this.current) return;
    // Fast: open transactions are rolled back. Then immediate, which leaves the work to the next start.
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
      signalProcess(this.current, signal);
      if (await waitForExit(this.current, signal === 'SIGINT' ? LIMIT : 5000)) return;
    }
  }

  private async failure(what: string): Promise<StackError> {
    const log = (await readFile(this.logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-12);
    const tail = log.map((line) => `  | ${line.slice(0, 240)}`).join('\n');
    return new StackError(
      `${what}:\n${tail}\nMend that, or set DATABASE_URL to use a server that is already running.`,
    );
  }
}

/**
 * Starts a PostgreSQL of our own from the binaries npm installed; as root it runs as another user.
 * @throws StackError that says what to do.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const user = serverUser('PostgreSQL', 'postgres', 'DATABASE_URL');
  const binaries = findBinaries(user);
  const folder = dataFolder(options.name ?? 'dev', user);
  if (await isServed(folder)) {
    throw new StackError(
      `A PostgreSQL with the name '${options.name ?? 'dev'}' is running. Stop it, or give the new one another name.`,
    );
  }
  const chosen = await choosePorts([{ owner: 'PostgreSQL', preferred: USUAL_PORT, fixed: options.port }]);
  for (const note of chosen.notes) options.onProgress?.(note);
  await mkdir(dirname(folder), { recursive: true });
  await sweepAbandoned(dirname(folder));
  if (!options.persistent) await rm(folder, { recursive: true, force: true });
  const postgres = new LocalPostgres(
    chosen.ports[0] ?? 0,
    folder,
    binaries,
    user,
    options.persistent ?? false,
  );
  try {
    await postgres.initialise();
    await postgres.start();
    return postgres;
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Its first line is the id of the server's process. */
async function isServed(folder: string): Promise<boolean> {
  const content = await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(content.split('\n')[0]);
  if (!(pid > 0)) return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes(folder);
}
