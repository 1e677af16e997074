import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './folders.js';
import { readLock, verifyFolder } from './lock-file.js';
import type { Release } from './releases.js';
import { MissingToolError, StackError } from './stack-error.js';
import { spawnTied } from './tied-process.js';
import { findOnPath, USE_EXISTING_CLUSTER } from './tools.js';

const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';

const WORK_PREFIX = 'download-';
const ABANDONED_AFTER = 3_600_000;

type Progress = (line: string) => void;

export const jarFolder = (release: Release): string =>
  join(cacheFolder(), 'rocketmq', release.version, 'lib');

export const isCached = (release: Release): boolean => existsSync(jarFolder(release));

/** A project that is nothing but its dependencies. */
export function renderPom(release: Release): string {
  const dependencies = release.artifacts.map((coordinates) => {
    const [groupId, artifactId, version] = coordinates.split(':');
    return `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>rocketmq-classpath</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
${dependencies.join('\n')}
</dependencies></project>
`;
}

/**
 * The folder with the jars of a release: from the cache, downloaded when absent, in any case verified.
 * @throws StackError when it cannot be had or is not what the lock says.
 */
export async function resolveJars(release: Release, progress: Progress = () => {}): Promise<string> {
  const lock = await readLock(release);
  const folder = jarFolder(release);
  if (!isCached(release)) await download(release, progress);
  await verifyFolder(folder, lock);
  return folder;
}

/** Fills the cache. The folder appears complete or not at all, however many do this at the same time. */
export async function download(
  release: Release,
  progress: Progress = () => {},
  options: { readonly fresh?: boolean } = {},
): Promise<string> {
  const command = findOnPath('mvn');
  if (command === undefined) {
    throw new MissingToolError(
      `RocketMQ ${release.version} is not in the cache (${jarFolder(release)}), and Maven, which downloads it, is not ` +
        `on the PATH. Install it (Debian and Ubuntu: apt-get install maven), ${USE_EXISTING_CLUSTER}.`,
    );
  }
  const parent = join(cacheFolder(), 'rocketmq', release.version);
  const work = join(parent, `${WORK_PREFIX}${randomBytes(6).toString('hex')}`);
  await mkdir(work, { recursive: true });
  await sweepInterrupted(parent);
  try {
    progress(`downloading RocketMQ ${release.version} with Maven (once, up to 100 MB)`);
    await writeFile(join(work, 'pom.xml'), renderPom(release));
    const logFile = join(work, 'maven.log');
    const maven = await spawnTied({
      command,
      args: ['-q', '-B', COPY_DEPENDENCIES, '-DoutputDirectory=lib'],
      cwd: work,
      logFile,
    });
    const code = await maven.exited;
    if (code !== 0) throw await mavenFailed(release, logFile, code);
    if (options.fresh) await rm(jarFolder(release), { recursive: true, force: true });
    try {
      await rename(join(work, 'lib'), jarFolder(release));
    } catch (error) {
      // Somebody else was faster; theirs is verified as ours would be.
      if (!isCached(release)) throw error;
    }
    return jarFolder(release);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Removes what downloads left behind that were killed. */
async function sweepInterrupted(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const folder = join(parent, name);
    if (!name.startsWith(WORK_PREFIX)) continue;
    const age = Date.now() - ((await stat(folder).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > ABANDONED_AFTER) await rm(folder, { recursive: true, force: true });
  }
}

async function mavenFailed(release: Release, logFile: string, code: number): Promise<StackError> {
  const output = (await readFile(logFile, 'utf8').catch(() => '')).replaceAll(/\[\d*m/g, '').trim();
  const tail = output.split('\n').slice(0, 12).join('\n  ');
  return new StackError(
    `Maven could not download RocketMQ ${release.version} (exit code ${code}):\n  ${tail}\n` +
      `Check the network and ~/.m2/settings.xml (mirror, proxy), ${USE_EXISTING_CLUSTER}.`,
  );
}
