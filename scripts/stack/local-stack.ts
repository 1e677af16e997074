import { rm } from 'node:fs/promises';
import { JavaPart, type PartSurroundings, type StackPart } from './java-part.js';
import { portReservations } from './ports.js';
import { StackError } from './stack-error.js';
import { forgetState, saveState, stackFolder, type StackState } from './stack-state.js';

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

/** A stack of JVMs, ours or somebody else's whose state file we have read. */
export class LocalStack implements Stack {
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
