import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const projectFolder = fileURLToPath(new URL('../..', import.meta.url));

/** Everything the local stack writes while it runs: state, data, logs. Ignored by git. */
export const runtimeFolder = join(projectFolder, '.rocketmq');

/** Where downloads are kept, outside of the project so that a fresh clone does not download again. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.ROCKETMQ_CACHE) return environment.ROCKETMQ_CACHE;
  const base = environment.XDG_CACHE_HOME ? environment.XDG_CACHE_HOME : join(homedir(), '.cache');
  return join(base, 'nestjs-rocketmq');
}
