import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askToRegister, missingForUse, nameServerAnswers } from './cluster-probe.js';
import { endProcess, isAlive, signalProcess, type ProcessIdentity } from './process-identity.js';
import { StackError } from './stack-error.js';
import type { PartPlan, PartRole } from './stack-plan.js';
import { spawnTied, type TiedProcess } from './tied-process.js';

/** A JVM of the stack, in the hands of a test that makes the weather. */
export interface StackPart {
  readonly name: string;
  readonly role: PartRole;
  /** `host:port`; of the proxy its gRPC port. */
  readonly address: string;
  readonly logFile: string;
  readonly running: boolean;
  /** Undefined when it does not run. */
  readonly pid: number | undefined;
  /** Same data, same ports. Resolves when it can be used again: a broker is registered, the others answer. */
  start(): Promise<void>;
  /** The orderly way, 13-15 s for a broker. SIGKILL after 30 s. */
  stop(): Promise<void>;
  /** SIGKILL: a crash. Resolves when the process has gone and its ports are free. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

/** What a part needs to know of the stack it belongs to. */
export interface PartSurroundings {
  readonly java: string;
  readonly jars: string;
  /** Addresses of the name servers that run. */
  nameServers(): readonly string[];
  progress(line: string): void;
  /** A process was started or has ended. */
  changed(): Promise<void>;
}

/** The port was free when it was chosen and is not any more. */
export class PortTakenError extends StackError {}

const START_LIMIT = 120_000;
const STOP_LIMIT = 30_000;
const POLL = 50;
const PROGRESS_EVERY = 5000;
const ASK_EVERY = 500;

async function accepts(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export class JavaPart implements StackPart {
  private tied: TiedProcess | undefined;

  constructor(
    private readonly plan: PartPlan,
    private readonly surroundings: PartSurroundings,
    private current?: ProcessIdentity,
  ) {}

  get name(): string {
    return this.plan.name;
  }
  get role(): PartRole {
    return this.plan.role;
  }
  get address(): string {
    return this.plan.address;
  }
  get logFile(): string {
    return this.plan.logFile;
  }
  get running(): boolean {
    return this.current !== undefined && isAlive(this.current);
  }
  get pid(): number | undefined {
    return this.running ? this.current?.pid : undefined;
  }
  get wave(): number {
    return this.plan.wave;
  }
  /** The process started last, whether it runs or not. */
  get process(): ProcessIdentity | undefined {
    return this.current;
  }

  async start(signal?: AbortSignal): Promise<void> {
    await this.launch();
    await this.ready(signal);
  }

  /** Starts the process without waiting until it is of use. */
  async launch(): Promise<void> {
    if (this.running) throw new StackError(`${this.name} runs already (process ${this.pid}).`);
    const { plan, surroundings } = this;
    await mkdir(plan.folder, { recursive: true });
    for (const [path, content] of Object.entries(plan.files)) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
    this.tied = await spawnTied({
      command: surroundings.java,
      // The JVM expands the asterisk itself; there is no shell that could do it before.
      args: [...plan.jvmArguments, '-cp', join(surroundings.jars, '*'), plan.mainClass, ...plan.arguments],
      cwd: plan.folder,
      env: {
        ...process.env,
        ROCKETMQ_HOME: plan.folder,
        JAVA_TOOL_OPTIONS: undefined,
        NAMESRV_ADDR: undefined,
      },
      logFile: this.consoleFile,
      background: true,
    });
    this.current = { pid: this.tied.pid, startedAt: this.tied.startedAt };
    await surroundings.changed();
  }

  /** @throws StackError when it ends instead, or is not of use in time. */
  async ready(signal?: AbortSignal): Promise<void> {
    const begin = performance.now();
    const seconds = (): string => ((performance.now() - begin) / 1000).toFixed(1);
    let nextProgress = PROGRESS_EVERY;
    let nextAsk = ASK_EVERY;
    let missing: string | undefined = '';
    while ((missing = await this.missing()) !== undefined) {
      signal?.throwIfAborted();
      if (!this.running) throw await this.endedEarly();
      const elapsed = performance.now() - begin;
      if (elapsed > START_LIMIT) {
        throw new StackError(
          `${this.name} was not ready after ${seconds()} s: ${missing}. Its log: ${this.logFile}\n${await this.logTail()}`,
        );
      }
      if (elapsed > nextProgress) {
        nextProgress += PROGRESS_EVERY;
        this.surroundings.progress(`waiting for ${this.name} (${seconds()} s): ${missing}`);
      }
      if (this.plan.role === 'broker' && elapsed > nextAsk) {
        nextAsk = elapsed + ASK_EVERY;
        // It may not listen yet, or refuse who has no password: then it registers by itself.
        await askToRegister(this.plan.address).catch(() => undefined);
      }
      await delay(POLL);
    }
    if (!this.running) throw await this.endedEarly();
  }

  private async missing(): Promise<string | undefined> {
    const { plan } = this;
    if (plan.role === 'namesrv') {
      return (await nameServerAnswers(plan.address)) ? undefined : 'does not answer yet';
    }
    if (plan.broker === undefined) return (await accepts(plan.address)) ? undefined : 'port not open yet';
    for (const nameServer of this.surroundings.nameServers()) {
      const missing = await missingForUse(nameServer, { ...plan.broker, address: plan.address });
      if (missing !== undefined) return missing;
    }
    return undefined;
  }

  async stop(): Promise<void> {
    await this.end(STOP_LIMIT);
  }

  async kill(): Promise<void> {
    await this.end(0);
  }

  /** SIGTERM, SIGKILL after the grace. */
  async end(graceMilliseconds: number): Promise<void> {
    if (this.current) await endProcess(this.current, graceMilliseconds);
    await this.surroundings.changed();
  }

  pause(): void {
    if (this.current) signalProcess(this.current, 'SIGSTOP');
  }

  resume(): void {
    if (this.current) signalProcess(this.current, 'SIGCONT');
  }

  /** From now on it may outlive this process. */
  async keep(): Promise<void> {
    await this.tied?.keep();
  }

  private get consoleFile(): string {
    return join(this.plan.folder, 'console.log');
  }

  private async endedEarly(): Promise<StackError> {
    const tail = await this.logTail();
    const text = `${this.name} ended while it was starting. Its log: ${this.logFile}\n${tail}`;
    return /Address already in use|BindException|bind\(\.\.\) failed/.test(tail)
      ? new PortTakenError(text)
      : new StackError(text);
  }

  private async logTail(): Promise<string> {
    const texts = await Promise.all(
      [this.consoleFile, this.logFile].map((path) => readFile(path, 'utf8').catch(() => '')),
    );
    return texts
      .flatMap((text) => text.trim().split('\n').slice(-12))
      .filter((line) => line !== '')
      .map((line) => `  | ${line.slice(0, 240)}`)
      .join('\n');
  }
}
