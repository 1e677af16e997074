import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveJars } from '../../scripts/stack/artifacts.js';
import { releaseOf } from '../../scripts/stack/releases.js';
import { PeerProcess } from './peer-process.js';

/** The Java client in a JVM of its own, compiled from the same artifacts as the broker. */
export async function startJavaClient(
  nameServer: string,
  defer: (close: () => unknown) => void,
): Promise<PeerProcess> {
  const jars = await resolveJars(releaseOf('5.5.0'));
  const classes = mkdtempSync(join(tmpdir(), 'rocketmq-bench-'));
  defer(() => rmSync(classes, { recursive: true, force: true }));
  const source = new URL('./BenchPeer.java', import.meta.url).pathname;
  const compiled = spawnSync('javac', ['-nowarn', '-cp', `${jars}/*`, '-d', classes, source], {
    encoding: 'utf8',
  });
  if (compiled.status !== 0)
    throw new Error(`javac failed: ${compiled.stderr}. Install a JDK 17, not only a JRE.`);
  const peer = await PeerProcess.start('java', [
    '-Xmx512m',
    '-Drocketmq.client.logUseSlf4j=true',
    '-cp',
    `${classes}:${jars}/*`,
    'BenchPeer',
    nameServer,
  ]);
  defer(() => peer.close());
  return peer;
}
