import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { resolveJars } from '../../scripts/stack/artifacts.js';
import { releaseOf } from '../../scripts/stack/releases.js';
import { waitFor } from './wait-for.js';

/** One line the Java program printed. */
export type JavaLine = Readonly<Record<string, string>>;

const SOURCE = new URL('../interop/java/InteropPeer.java', import.meta.url).pathname;

/**
 * The official Java client as a process: what it prints is collected line by line.
 * The program is compiled once per release.
 */
export class JavaPeer {
  readonly lines: JavaLine[] = [];
  private readonly child: ChildProcessWithoutNullStreams;
  private exitCode: number | null = null;
  private errors = '';

  constructor(jars: string, classes: string, args: readonly string[]) {
    this.child = spawn('java', [
      '-Xmx256m',
      '-XX:+UseSerialGC',
      '-Drocketmq.client.logUseSlf4j=true',
      '-cp',
      `${classes}:${jars}/*`,
      'InteropPeer',
      ...args,
    ]);
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as JavaLine);
    });
    this.child.stderr.on(
      'data',
      (chunk: Buffer) => (this.errors = (this.errors + chunk.toString()).slice(-4000)),
    );
    this.child.once('exit', (code) => (this.exitCode = code ?? -1));
  }

  received(): readonly JavaLine[] {
    return this.lines.filter((line) => 'received' in line);
  }

  sent(): readonly JavaLine[] {
    return this.lines.filter((line) => 'sent' in line);
  }

  async started(): Promise<void> {
    await this.printed((line) => 'started' in line);
  }

  /** Resolves with the first such line. @throws Error when the program ends without it */
  async printed(wanted: (line: JavaLine) => boolean): Promise<JavaLine> {
    const found = (): JavaLine | undefined => this.lines.find(wanted);
    await waitFor(() => found() !== undefined || this.exitCode !== null, {
      timeoutMs: 90_000,
      describe: () => `a line of Java (${this.errors})`,
    });
    const line = found();
    if (line === undefined) throw new Error(`Java ended with ${this.exitCode}: ${this.errors}`);
    return line;
  }

  /** Resolves when the program has ended by itself. */
  async finished(): Promise<void> {
    await waitFor(() => this.exitCode !== null, {
      timeoutMs: 90_000,
      describe: () => `Java finished (${this.errors})`,
    });
    if (this.exitCode !== 0) throw new Error(`Java ended with ${this.exitCode}: ${this.errors}`);
  }

  /** Leaves the group and ends. */
  async leave(): Promise<void> {
    this.child.stdin.end();
    await this.finished();
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** Compiles the peer against the 5.5.0 client, which speaks to 4.9 brokers too; returns the function that starts it. */
export async function javaPeer(): Promise<(...args: string[]) => JavaPeer> {
  const jars = await resolveJars(releaseOf('5.5.0'));
  const classes = mkdtempSync(join(tmpdir(), 'rocketmq-interop-'));
  process.once('exit', () => rmSync(classes, { recursive: true, force: true }));
  const compiled = spawnSync('javac', ['-nowarn', '-cp', `${jars}/*`, '-d', classes, SOURCE], {
    encoding: 'utf8',
  });
  if (compiled.status !== 0) {
    throw new Error(
      `javac failed: ${compiled.stderr ?? compiled.error?.message}. Install a JDK 17 (javac), not only a JRE.`,
    );
  }
  return (...args) => new JavaPeer(jars, classes, args);
}
