import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runtimeFolder } from '../../scripts/stack/folders.js';
import { PeerProcess } from './peer-process.js';

/**
 * The official Node client (npm `rocketmq-client-nodejs`), which speaks to the proxy, in a process of its own. It is no
 * dependency of this project: the first run installs it into `.rocketmq/`, pinned with its integrity by the lock
 * file beside this one.
 */
export async function startNodeClient(
  endpoints: string,
  defer: (close: () => unknown) => void,
): Promise<PeerProcess> {
  const folder = join(runtimeFolder, 'bench-node-client');
  install(folder);
  const program = fileURLToPath(new URL('./node-client-program.ts', import.meta.url));
  const peer = await PeerProcess.start(process.execPath, ['--import', 'tsx', program, folder, endpoints]);
  defer(() => peer.close());
  return peer;
}

function install(folder: string): void {
  if (existsSync(join(folder, 'node_modules', 'rocketmq-client-nodejs', 'package.json'))) return;
  mkdirSync(folder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    copyFileSync(fileURLToPath(new URL(`./node-client/${file}`, import.meta.url)), join(folder, file));
  }
  const run = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`npm ci of the official Node client failed: ${run.stderr}`);
}
