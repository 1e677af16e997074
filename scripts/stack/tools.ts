import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { MissingToolError } from './stack-error.js';

const run = promisify(execFile);

const MINIMUM_JAVA = 8;

/** The way out that always exists. */
export const USE_EXISTING_CLUSTER =
  'or set ROCKETMQ_NAME_SERVER=host:port to use a RocketMQ that is already running';

/** The path of an executable, as a shell would find it. */
export function findOnPath(name: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** `1.8.0_392` -> 8, `17.0.15` -> 17, `21-ea` -> 21. */
export function parseJavaMajor(versionOutput: string): number | undefined {
  const version = /version "(?:1\.)?(\d+)/.exec(versionOutput)?.[1];
  return version === undefined ? undefined : Number(version);
}

/**
 * The Java to run RocketMQ with: that of JAVA_HOME, else that on the PATH.
 * @throws StackError when there is none, it does not run or it is too old.
 */
export async function requireJava(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const java = environment.JAVA_HOME
    ? join(environment.JAVA_HOME, 'bin', 'java')
    : findOnPath('java', environment);
  const remedy = `Install Java 17 (Debian and Ubuntu: apt-get install openjdk-17-jre-headless), ${USE_EXISTING_CLUSTER}.`;
  if (java === undefined)
    throw new MissingToolError(`RocketMQ needs Java, and there is none on the PATH. ${remedy}`);
  let output: string;
  try {
    output = (await run(java, ['-version'], { env: environment, timeout: 20_000 })).stderr;
  } catch (cause) {
    throw new MissingToolError(`${java} -version failed: ${(cause as Error).message.trim()}. ${remedy}`, {
      cause,
    });
  }
  const major = parseJavaMajor(output);
  if (major === undefined || major < MINIMUM_JAVA) {
    const found = output.split('\n')[0]?.trim() ?? '';
    throw new MissingToolError(
      `RocketMQ needs Java ${MINIMUM_JAVA} or newer, ${java} is: ${found}. ${remedy}`,
    );
  }
  return java;
}

/** True when a Docker engine answers and the compose plugin is there. */
export async function isDockerUsable(): Promise<boolean> {
  if (findOnPath('docker') === undefined) return false;
  try {
    await run('docker', ['compose', 'version'], { timeout: 5000 });
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 5000 });
    return true;
  } catch {
    return false;
  }
}
