import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { choosePorts, portReservations } from './ports.js';
import { isAlive, signalProcess, waitForExit } from './process-identity.js';
import { serverUser, type OperatingSystemUser } from './server-user.js';
import { StackError } from './stack-error.js';
import { makeServerFolder, markThrowAway, sweepAbandoned } from './throw-away-folder.js';
import { spawnTied, type TiedProcess } from './tied-process.js';
import { findOnPath } from './tools.js';

/** A running MariaDB of our own, with nothing in it. Ends with this process. */
export interface Mariadb {
  /** Superuser, database `mysql`. */
  readonly url: string;
  readonly port: number;
  /** What it answers to `SELECT version()`. */
  readonly version: string;
  /** May be called again. */
  stop(): Promise<void>;
}

export interface MariadbBinaries {
  readonly server: string;
  readonly install: string;
}

export interface MariadbOptions {
  /** @default those of the system */
  readonly binaries?: MariadbBinaries;
  readonly onProgress?: (line: string) => void;
}

const USUAL_PORT = 33_069;
const LIMIT = 60_000;
const PREFIX = 'nestjs-rocketmq-mariadb-';
/** Where Debian puts servers, which is not on everybody's PATH. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** A commit survives the death of the process, not of the machine. Otherwise the server's own defaults. */
const SETTINGS: readonly string[] = [
  '--bind-address=127.0.0.1',
  '--skip-name-resolve',
  '--skip-log-bin',
  '--max-connections=300',
  '--innodb-flush-log-at-trx-commit=2',
  '--innodb-doublewrite=0',
  '--innodb-log-file-size=64M',
];

/** The system's MariaDB; undefined when it, or a part of it that comes in another package, is not installed. */
export function findMariadb(environment: NodeJS.ProcessEnv = process.env): MariadbBinaries | undefined {
  const server =
    findOnPath('mariadbd', environment) ??
    SERVER_FOLDERS.map((folder) => join(folder, 'mariadbd')).find((path) => existsSync(path));
  const install = findOnPath('mariadb-install-db', environment);
  // mariadb-install-db calls it.
  const defaults = findOnPath('my_print_defaults', environment);
  if (server === undefined || install === undefined || defaults === undefined) return undefined;
  return { server, install };
}

class LocalMariadb implements Mariadb {
  readonly url: string;
  version = '';
  private current: TiedProcess | undefined;
  private stopping: Promise<void> | undefined;

  constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly binaries: MariadbBinaries,
    private readonly user: OperatingSystemUser,
  ) {
    this.url = `mariadb://root@127.0.0.1:${port}/mysql`;
  }

  private get logFile(): string {
    return join(this.folder, 'mariadb.log');
  }

  async start(): Promise<void> {
    await makeServerFolder(this.folder, this.user);
    await markThrowAway(this.folder);
    const install = await this.spawn('command', this.binaries.install, [
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
    ]);
    const code = await install.exited;
    if (code !== 0) throw await this.failure(`${this.binaries.install} ended with code ${code}`);
    this.current = await this.spawn('server', this.binaries.server, [
      `--port=${this.port}`,
      `--socket=${join(this.folder, 'socket')}`,
      `--pid-file=${join(this.folder, 'pid')}`,
      ...SETTINGS,
    ]);
    await this.untilReady(this.current);
  }

  private spawn(kind: 'command' | 'server', command: string, args: readonly string[]): Promise<TiedProcess> {
    return spawnTied({
      command,
      // The settings of the system are not ours.
      args: ['--no-defaults', `--datadir=${join(this.folder, 'data')}`, ...args],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      cwd: this.folder,
      logFile: this.logFile,
      background: kind === 'server',
      ...this.user,
    });
  }

  private async untilReady(server: TiedProcess): Promise<void> {
    const deadline = performance.now() + LIMIT;
    for (;;) {
      if (!isAlive(server)) throw await this.failure('MariaDB ended while it was starting');
      const version = await this.ask();
      if (version !== undefined) {
        this.version = version;
        return;
      }
      if (performance.now() > deadline) {
        throw await this.failure(`MariaDB was not ready after ${LIMIT / 1000} s`);
      }
      await delay(50);
    }
  }

  private async ask(): Promise<string | undefined> {
    const { port } = this;
    const connecting = createConnection({ host: '127.0.0.1', port, user: 'root', connectTimeout: 2000 });
    const connection = await connecting.catch(() => undefined);
    if (connection === undefined) return undefined;
    try {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT version() AS version');
      return rows[0]?.['version'] as string | undefined;
    } finally {
      connection.destroy();
    }
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopNow();
    return this.stopping;
  }

  /** Nobody needs the data: there is nothing to shut down in order. */
  private async stopNow(): Promise<void> {
    if (this.current !== undefined) {
      signalProcess(this.current, 'SIGKILL');
      await waitForExit(this.current, LIMIT);
    }
    portReservations.release([this.port]);
    await rm(this.folder, { recursive: true, force: true });
  }

  private async failure(what: string): Promise<StackError> {
    const log = (await readFile(this.logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-12);
    const tail = log.map((line) => `  | ${line.slice(0, 240)}`).join('\n');
    return new StackError(
      `${what}:\n${tail}\nMend that, or set MARIADB_URL to use a server that is already running.`,
    );
  }
}

/**
 * Starts a throw-away MariaDB from the system's binaries; as root it runs as another user.
 * @throws StackError that says what to do.
 */
export async function startMariadb(options: MariadbOptions = {}): Promise<Mariadb> {
  const binaries = options.binaries ?? findMariadb();
  if (binaries === undefined) {
    throw new StackError(
      'There is no MariaDB on this machine (mariadbd, mariadb-install-db, my_print_defaults). Install it (Debian and Ubuntu: ' +
        'apt-get install mariadb-server), or set MARIADB_URL to use a server that is already running.',
    );
  }
  const user = serverUser('MariaDB', 'mysql', 'MARIADB_URL');
  const { ports, notes } = await choosePorts([{ owner: 'MariaDB', preferred: USUAL_PORT }]);
  for (const note of notes) options.onProgress?.(note);
  await sweepAbandoned(tmpdir(), PREFIX);
  const folder = await mkdtemp(join(tmpdir(), PREFIX));
  const mariadb = new LocalMariadb(ports[0] ?? 0, folder, binaries, user);
  try {
    await mariadb.start();
    return mariadb;
  } catch (error) {
    await mariadb.stop();
    throw error;
  }
}
