import { execFileSync } from 'node:child_process';
import { StackError } from './stack-error.js';

/** Whom a server runs as. Empty: as ourselves. */
export interface OperatingSystemUser {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Database servers refuse to run as root: the first of these users there is, or `nobody`.
 * @throws StackError when there is none.
 */
export function serverUser(server: string, preferred: string, variable: string): OperatingSystemUser {
  if (process.getuid?.() !== 0) return {};
  for (const name of [preferred, 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The next one.
    }
  }
  throw new StackError(
    `${server} does not run as root, and there is neither a user ${preferred} nor nobody. Run this as another user, or ` +
      `set ${variable} to use a server that is already running.`,
  );
}
