import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Round } from '../measure.js';

interface Waiting {
  resolve(words: readonly string[]): void;
  reject(error: Error): void;
}

/**
 * A process that measures: one command per line in, one answer per line out, `RESULT words…` or `ERROR text`. It stays
 * for the whole run, so that its compiler is warm.
 */
export class PeerProcess {
  private readonly waiting: Waiting[] = [];
  private errors = '';
  private readonly onEvent: (words: readonly string[]) => void;

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    onEvent: (words: readonly string[]) => void = () => undefined,
  ) {
    this.onEvent = onEvent;
    child.stderr.on(
      'data',
      (chunk: Buffer) => (this.errors = (this.errors + chunk.toString()).slice(-4_000)),
    );
    child.once('exit', (code) => {
      const error = new Error(`The process ended with code ${code}: ${this.errors}`);
      for (const waiting of this.waiting.splice(0)) waiting.reject(error);
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.read(line));
  }

  /** Resolves when it says that it is ready. @param onEvent hears of lines `EVENT words…` */
  static async start(
    command: string,
    args: readonly string[],
    onEvent?: (words: readonly string[]) => void,
  ): Promise<PeerProcess> {
    const peer = new PeerProcess(spawn(command, args, { stdio: 'pipe' }), onEvent);
    await peer.answer();
    return peer;
  }

  async run(command: string): Promise<Round> {
    const [operations, elapsedMs, cpuMs] = await this.ask(command);
    return {
      operations: Number(operations),
      elapsedMs: Number(elapsedMs),
      cpuMs: cpuMs === undefined ? undefined : Number(cpuMs),
    };
  }

  /** The words of its answer. */
  ask(command: string): Promise<readonly string[]> {
    const answer = this.answer();
    this.child.stdin.write(`${command}\n`);
    return answer;
  }

  /** kill -9; resolves when it is gone. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }

  private answer(): Promise<readonly string[]> {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  private read(line: string): void {
    const [kind, ...words] = line.split(' ');
    if (kind === 'RESULT') this.waiting.shift()?.resolve(words);
    else if (kind === 'ERROR') this.waiting.shift()?.reject(new Error(words.join(' ')));
    else if (kind === 'EVENT') this.onEvent(words);
  }
}
