import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { resolveJars } from '../../scripts/stack/artifacts.js';
import { releaseOf } from '../../scripts/stack/releases.js';
import type { Round } from '../measure.js';

/** The Java client in a JVM of its own, compiled from the same artifacts as the broker. */
export class JavaBench {
  private readonly answers: ((round: Round) => void)[] = [];

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly classes: string,
  ) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('RESULT ')) return;
      const [, operations, elapsed] = line.split(' ');
      this.answers.shift()?.({ operations: Number(operations), elapsedMs: Number(elapsed) });
    });
  }

  static async start(nameServer: string): Promise<JavaBench> {
    const jars = await resolveJars(releaseOf('5.5.0'));
    const classes = mkdtempSync(join(tmpdir(), 'rocketmq-bench-'));
    const source = new URL('./BenchPeer.java', import.meta.url).pathname;
    const compiled = spawnSync('javac', ['-nowarn', '-cp', `${jars}/*`, '-d', classes, source], {
      encoding: 'utf8',
    });
    if (compiled.status !== 0)
      throw new Error(`javac failed: ${compiled.stderr}. Install a JDK 17, not only a JRE.`);
    const child = spawn('java', [
      '-Xmx512m',
      '-Drocketmq.client.logUseSlf4j=true',
      '-cp',
      `${classes}:${jars}/*`,
      'BenchPeer',
      nameServer,
    ]);
    child.stderr.resume();
    const bench = new JavaBench(child, classes);
    await new Promise<Round>((resolve) => bench.answers.push(resolve));
    return bench;
  }

  run(command: string): Promise<Round> {
    return new Promise((resolve) => {
      this.answers.push(resolve);
      this.child.stdin.write(`${command}\n`);
    });
  }

  close(): void {
    this.child.kill('SIGKILL');
    rmSync(this.classes, { recursive: true, force: true });
  }
}
