import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder, runtimeFolder } from '../stack/folders.js';
import { choosePorts, portReservations } from '../stack/ports.js';
import { spawnTied, type TiedProcess } from '../stack/tied-process.js';
import { sampleAppEntry } from './sample-build.js';

export interface SampleAppOptions {
  /** Distinguishes log files of applications that run at the same time. */
  readonly name: string;
  readonly databaseUrl: string;
  readonly nameServer: string;
  readonly namespace?: string;
  /** How long an order waits for its payment. Brokers before 5.0 need a delay level. */
  readonly paymentWindow: number | { readonly level: number };
  readonly operatorKey?: string;
  /** Taken when it is free, otherwise another. @default 3000 */
  readonly port?: number;
  readonly signal?: AbortSignal;
}

/** The sample application as users run it: `node dist/sample-app/src/main.js`, configured by its environment. */
export class SampleAppProcess {
  private constructor(
    private readonly child: TiedProcess,
    readonly url: string,
    readonly logFile: string,
  ) {}

  /** Resolves when it answers over HTTP: by then its migrations ran and its listeners are started. */
  static async start(options: SampleAppOptions): Promise<SampleAppProcess> {
    const port = await choosePort(options.port ?? 3000);
    mkdirSync(runtimeFolder, { recursive: true });
    const logFile = join(runtimeFolder, `sample-app-${options.name}.log`);
    closeSync(openSync(logFile, 'w'));
    const child = await spawnTied({
      command: process.execPath,
      args: ['--enable-source-maps', sampleAppEntry],
      cwd: projectFolder,
      logFile,
      env: {
        ...process.env,
        NO_COLOR: '1',
        PORT: String(port),
        DATABASE_URL: options.databaseUrl,
        ROCKETMQ_NAME_SERVER: options.nameServer,
        ROCKETMQ_NAMESPACE: options.namespace ?? '',
        ...paymentWindow(options.paymentWindow),
        OPERATOR_KEY: options.operatorKey ?? '',
      },
    });
    const app = new SampleAppProcess(child, `http://127.0.0.1:${port}`, logFile);
    void child.exited.then(() => portReservations.release([port]));
    await app.untilReady(options.signal);
    return app;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** SIGTERM, as an orchestrator does it: it finishes what is at hand. @returns the exit code */
  stop(): Promise<number> {
    return this.end('SIGTERM');
  }

  /** SIGKILL: a crash. */
  kill(): Promise<number> {
    return this.end('SIGKILL');
  }

  /** The last lines it wrote. */
  tail(lines = 30): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  private async end(signal: NodeJS.Signals): Promise<number> {
    try {
      process.kill(this.child.pid, signal);
    } catch {
      // It has ended by itself.
    }
    return this.child.exited;
  }

  private async untilReady(signal: AbortSignal | undefined): Promise<void> {
    let exit: number | undefined;
    void this.child.exited.then((code) => (exit = code));
    const deadline = performance.now() + 60_000;
    for (;;) {
      if (exit !== undefined) throw new Error(`The sample application ended with ${exit}:\n${this.tail()}`);
      if (signal?.aborted || performance.now() > deadline) {
        await this.kill();
        throw new Error(`The sample application did not get ready:\n${this.tail()}`, {
          cause: signal?.reason,
        });
      }
      try {
        const response = await fetch(`${this.url}/inventory`);
        if (response.ok) return;
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function choosePort(preferred: number): Promise<number> {
  const { ports } = await choosePorts([{ owner: 'sample application', preferred }]);
  return ports[0] ?? preferred;
}

function paymentWindow(window: number | { readonly level: number }): NodeJS.ProcessEnv {
  return typeof window === 'number'
    ? { PAYMENT_WINDOW_MS: String(window), PAYMENT_WINDOW_LEVEL: '' }
    : { PAYMENT_WINDOW_MS: '', PAYMENT_WINDOW_LEVEL: String(window.level) };
}
