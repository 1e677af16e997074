import { chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';
import type { OperatingSystemUser } from './server-user.js';

/** In the folder of a throw-away server: whose it is. */
const OWNER_FILE = 'owner.json';

/** Makes a folder that belongs to the server's user. */
export async function makeServerFolder(folder: string, { uid, gid }: OperatingSystemUser): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
}

/** Says that the folder is of no use when this process has ended. */
export async function markThrowAway(folder: string): Promise<void> {
  await writeFile(join(folder, OWNER_FILE), JSON.stringify(identify(process.pid)));
}

/** Removes what throw-away servers left behind whose owner died without a stop. */
export async function sweepAbandoned(parent: string, prefix = ''): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(parent, name);
    const owner = await ownerOf(folder);
    if (owner === undefined || isAlive(owner)) continue;
    // What belongs to another user of the machine is swept by that user.
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Undefined: not the folder of a throw-away server, or its owner is just being written down. */
async function ownerOf(folder: string): Promise<ProcessIdentity | undefined> {
  try {
    const owner: unknown = JSON.parse(await readFile(join(folder, OWNER_FILE), 'utf8'));
    return isIdentity(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return typeof value === 'object' && value !== null && 'pid' in value && typeof value.pid === 'number';
}
