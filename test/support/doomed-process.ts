import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What the process does until it is killed. */
export interface DoomedTask {
  readonly what:
    | 'commit and never send'
    | 'send the backlog'
    | 'die in the local transaction'
    | 'die before the end of the transaction';
  readonly databaseUrl: string;
  readonly nameServer: string;
  readonly topic: string;
  readonly group: string;
}

/** A process of its own that runs the library, to be killed without a word. */
export class DoomedProcess {
  private output = '';
  private errors = '';

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
  }

  static start(task: DoomedTask): DoomedProcess {
    const file = fileURLToPath(new URL('../integration/fixtures/doomed-process.ts', import.meta.url));
    return new DoomedProcess(
      spawn(process.execPath, ['--import', 'tsx', file], {
        env: { ...process.env, DOOMED_TASK: JSON.stringify(task) },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  }

  /** Resolves when the process has said the word. */
  async said(word: string): Promise<void> {
    while (!this.output.split('\n').includes(word)) {
      if (this.child.exitCode !== null) {
        throw new Error(`The process ended before it said "${word}": ${this.errors}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
