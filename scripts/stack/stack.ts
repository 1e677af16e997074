import { rm } from 'node:fs/promises';
import { resolveJars } from './artifacts.js';
import type { Config } from './config-files.js';
import { isForDocker, startDockerStack } from './docker-stack.js';
import { JavaPart, PortTakenError, type PartSurroundings, type StackPart } from './java-part.js';
import { choosePorts, portReservations } from './ports.js';
import { identify } from './process-identity.js';
import { releaseOf } from './releases.js';
import { MissingToolError, StackError } from './stack-error.js';
import { checkShape, planStack, portBlocks, type StackPlan, type StackShape } from './stack-plan.js';
import { forgetState, isInUse, loadState, saveState, stackFolder, sweepAbandoned } from './stack-state.js';
import type { StackState } from './stack-state.js';
import { isDockerUsable, requireJava } from './tools.js';

export type { Config, StackPart };
export { StackError };

export interface StackOptions extends StackShape {
  /**
   * Data of an earlier stack of this name is used again, and stays after the stop, which then is an orderly one.
   * Otherwise everything is thrown away. @default false
   */
  readonly keepData?: boolean;
  /** With `docker-compose.yml`. @default only when Java or Maven are missing and a Docker engine answers */
  readonly docker?: boolean;
  /** What a person who waits would like to read. */
  readonly onProgress?: (line: string) => void;
  /** Stops the start: what was started is stopped, the promise rejects. */
  readonly signal?: AbortSignal;
}

/** A running RocketMQ of our own. */
export interface Stack {
  readonly name: string;
  readonly release: string;
  readonly folder: string;
  /** `host:port`, several separated by semicolons, as clients want it. */
  readonly nameServer: string;
  /** `host:port` of the proxy's gRPC, when there is a proxy. */
  readonly endpoints: string | undefined;
  readonly parts: readonly StackPart[];
  readonly brokers: readonly StackPart[];
  /** @throws StackError for a name that is not there. */
  broker(name: string): StackPart;
  /** @throws StackError for a name that is not there. */
  part(name: string): StackPart;
  /** Resolves when every running part can be used, for example after the restart of a name server. */
  ready(): Promise<void>;
  /** Proxy, brokers, name servers. May be called again. */
  stop(options?: { readonly keepData?: boolean }): Promise<void>;
  /** The stack stays when this process ends. */
  leaveRunning(): Promise<void>;
}

/** A throw-away broker is asked politely, and not for long: its orderly stop takes 13-15 s. */
const THROW_AWAY_GRACE = 500;
const ORDERLY_GRACE = 30_000;
const PORT_ATTEMPTS = 3;

class LocalStack implements Stack {
  readonly parts: readonly JavaPart[];
  private readonly surroundings: PartSurroundings;
  private stopping: Promise<void> | undefined;
  private saving: Promise<void> = Promise.resolve();

  constructor(
    private state: StackState,
    private readonly reservedPorts: readonly number[],
    progress: (line: string) => void,
  ) {
    this.surroundings = {
      java: state.java,
      jars: state.jars,
      nameServers: () =>
        this.parts.filter((part) => part.role === 'namesrv' && part.running).map((part) => part.address),
      progress,
      changed: () => this.save({}),
    };
    this.parts = state.plan.parts.map(
      (plan) => new JavaPart(plan, this.surroundings, state.processes[plan.name]),
    );
  }

  get name(): string {
    return this.state.name;
  }
  get release(): string {
    return this.state.plan.release.version;
  }
  get folder(): string {
    return stackFolder(this.state.name);
  }
  get nameServer(): string {
    return this.state.plan.nameServer;
  }
  get endpoints(): string | undefined {
    return this.state.plan.endpoints;
  }
  get brokers(): readonly StackPart[] {
    return this.parts.filter((part) => part.role === 'broker');
  }

  broker(name: string): StackPart {
    return this.find(name, this.brokers);
  }

  part(name: string): StackPart {
    return this.find(name, this.parts);
  }

  private find(name: string, parts: readonly StackPart[]): StackPart {
    const found = parts.find((part) => part.name === name);
    if (found) return found;
    const names = parts.map((part) => part.name).join(', ');
    throw new StackError(`The stack '${this.name}' has no part '${name}'. It has: ${names}.`);
  }

  async start(signal: AbortSignal | undefined): Promise<void> {
    const begin = performance.now();
    const ready = async (part: JavaPart): Promise<void> => {
      await part.ready(signal);
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      this.surroundings.progress(`${part.name} is ready at ${part.address} (${seconds} s)`);
    };
    for (const wave of [1, 2]) {
      const parts = this.parts.filter((part) => part.wave === wave);
      for (const part of parts) await part.launch();
      await Promise.all(parts.map(ready));
    }
    await this.save({ ready: true });
  }

  async ready(): Promise<void> {
    await Promise.all(this.parts.filter((part) => part.running).map((part) => part.ready()));
  }

  stop(options: { readonly keepData?: boolean } = {}): Promise<void> {
    const keepData = options.keepData ?? this.state.keepData;
    this.stopping ??= this.stopNow(keepData ? ORDERLY_GRACE : THROW_AWAY_GRACE, keepData);
    return this.stopping;
  }

  /** What never was of use to anybody needs no orderly stop; its logs are worth keeping. */
  async abandon(): Promise<void> {
    await this.stopNow(0, true);
  }

  private async stopNow(grace: number, keepFolder: boolean): Promise<void> {
    for (const role of ['proxy', 'broker', 'namesrv'] as const) {
      await Promise.all(this.parts.filter((part) => part.role === role).map((part) => part.end(grace)));
    }
    await this.saving;
    portReservations.release(this.reservedPorts);
    if (keepFolder) await forgetState(this.name);
    else await rm(this.folder, { recursive: true, force: true });
  }

  async leaveRunning(): Promise<void> {
    for (const part of this.parts) await part.keep();
  }

  private async save(change: Partial<StackState>): Promise<void> {
    const processes = Object.fromEntries(
      this.parts.flatMap((part) => (part.process ? [[part.name, part.process]] : [])),
    );
    this.state = { ...this.state, ...change, processes };
    const state = this.state;
    // One after the other: each replaces the file.
    this.saving = this.saving.then(() => saveState(state));
    await this.saving;
  }
}

/**
 * Starts a RocketMQ of our own and resolves when every broker is registered and answers.
 *
 * It ends with this process, however that ends, unless {@link Stack.leaveRunning} is called.
 * @throws StackError that says what to install or to change.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const progress = options.onProgress ?? (() => {});
  checkShape(options);
  const name = options.name ?? 'dev';
  await refuseSecond(name);
  await sweepAbandoned();
  if (options.docker) return startDockerStack(options, progress);
  const release = releaseOf(options.release);
  let java: string;
  let jars: string;
  try {
    [java, jars] = await Promise.all([requireJava(), resolveJars(release, progress)]);
  } catch (error) {
    if (!(error instanceof MissingToolError && isForDocker(options) && (await isDockerUsable()))) throw error;
    progress(`${error.message.split('. ')[0]}; Docker answers`);
    return startDockerStack(options, progress);
  }
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted();
    if (!options.keepData) await rm(stackFolder(name), { recursive: true, force: true });
    const chosen = await choosePorts(portBlocks(options));
    for (const note of chosen.notes) progress(note);
    const plan = planStack(options, stackFolder(name), chosen.ports);
    const stack = new LocalStack(
      initialState(name, plan, { java, jars, keepData: options.keepData ?? false }),
      chosen.all,
      progress,
    );
    try {
      await stack.start(options.signal);
      return stack;
    } catch (error) {
      await stack.abandon();
      if (options.signal?.aborted && !options.keepData)
        await rm(stackFolder(name), { recursive: true, force: true });
      if (!(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error;
      progress('a port was taken in the meantime, trying others');
    }
  }
}

async function refuseSecond(name: string): Promise<void> {
  const state = await loadState(name);
  if (!state || !isInUse(state)) return;
  throw new StackError(
    `The stack '${name}' is running (name server ${state.plan.nameServer}). Stop it with ` +
      `npm run rocketmq -- stop --name ${name}, or give the new one another name.`,
  );
}

function initialState(
  name: string,
  plan: StackPlan,
  rest: Pick<StackState, 'java' | 'jars' | 'keepData'>,
): StackState {
  const owner = identify(process.pid) ?? { pid: process.pid, startedAt: '' };
  return { name, createdAt: new Date().toISOString(), owner, ready: false, plan, processes: {}, ...rest };
}

/** The stack of that name as its state file tells, started by whomever. Undefined when there is none. */
export async function openStack(name: string): Promise<Stack | undefined> {
  const state = await loadState(name);
  return state ? new LocalStack(state, [], () => {}) : undefined;
}
