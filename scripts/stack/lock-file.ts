import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { Release } from './releases.js';
import { StackError } from './stack-error.js';

/** What a classpath consists of, to the byte. Committed, one file per release. */
export interface LockFile {
  readonly release: string;
  readonly artifacts: readonly string[];
  /** File name -> sha256 in hex. */
  readonly files: Readonly<Record<string, string>>;
}

/** How a folder differs from its lock. */
export interface LockDifference {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly changed: readonly string[];
}

export const lockFilePath = (version: string): string =>
  fileURLToPath(new URL(`./locks/${version}.json`, import.meta.url));

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** Sums of every file of a folder, sorted by name. */
export async function hashFolder(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const sums: Record<string, string> = {};
  const pending = [...names];
  const worker = async (): Promise<void> => {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      sums[name] = await sha256(join(folder, name));
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return Object.fromEntries(names.map((name) => [name, sums[name] ?? '']));
}

export function compareToLock(lock: LockFile, actual: Readonly<Record<string, string>>): LockDifference {
  const expected = Object.keys(lock.files);
  return {
    missing: expected.filter((name) => !(name in actual)),
    unexpected: Object.keys(actual).filter((name) => !(name in lock.files)),
    changed: expected.filter((name) => name in actual && actual[name] !== lock.files[name]),
  };
}

/** @throws StackError that names every file which is not what the lock says. */
export async function verifyFolder(folder: string, lock: LockFile): Promise<void> {
  const { missing, unexpected, changed } = compareToLock(lock, await hashFolder(folder));
  const problems = [
    ...changed.map((name) => `${name}: its sha256 is not the one in the lock`),
    ...missing.map((name) => `${name}: missing`),
    ...unexpected.map((name) => `${name}: not in the lock`),
  ];
  if (problems.length === 0) return;
  throw new StackError(
    `The files of RocketMQ ${lock.release} in ${folder} are not those of its lock file:\n  ` +
      `${problems.slice(0, 10).join('\n  ')}${problems.length > 10 ? `\n  and ${problems.length - 10} more` : ''}\n` +
      'Nothing of it was run. Delete that folder to download again; if the difference comes back, do not ' +
      'trust the source it was downloaded from.',
  );
}

/** @throws StackError when the release has no lock. */
export async function readLock(release: Release): Promise<LockFile> {
  try {
    return JSON.parse(await readFile(lockFilePath(release.version), 'utf8')) as LockFile;
  } catch (cause) {
    throw new StackError(
      `RocketMQ ${release.version} has no readable lock file. Create it with: npm run rocketmq -- lock --release ${release.version}`,
      { cause },
    );
  }
}

export async function writeLock(release: Release, folder: string): Promise<LockFile> {
  const lock: LockFile = {
    release: release.version,
    artifacts: release.artifacts,
    files: await hashFolder(folder),
  };
  await writeFile(lockFilePath(release.version), `${JSON.stringify(lock, null, 2)}\n`);
  return lock;
}
