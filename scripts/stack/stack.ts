import { rm } from 'node:fs/promises';
import { resolveJars } from './artifacts.js';
import type { Config } from './config-files.js';
import { isForDocker, startDockerStack } from './docker-stack.js';
import { PortTakenError, type StackPart } from './java-part.js';
import { LocalStack, type Stack } from './local-stack.js';
import { choosePorts } from './ports.js';
import { identify } from './process-identity.js';
import { releaseOf } from './releases.js';
import { MissingToolError, StackError } from './stack-error.js';
import { checkShape, planStack, portBlocks, type StackPlan, type StackShape } from './stack-plan.js';
import { isInUse, loadState, stackFolder, sweepAbandoned, type StackState } from './stack-state.js';
import { isDockerUsable, requireJava } from './tools.js';

export type { Config, Stack, StackPart };
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

/** How often ports are chosen again that somebody else took in the meantime. */
const PORT_ATTEMPTS = 3;

type Progress = (line: string) => void;

/**
 * Starts a RocketMQ of our own and resolves when every broker is registered and answers.
 *
 * It ends with this process, however that ends, unless {@link Stack.leaveRunning} is called.
 * @throws StackError that says what to install or to change.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const progress = options.onProgress ?? (() => {});
  checkShape(options);
  await refuseSecond(options.name ?? 'dev');
  await sweepAbandoned();
  if (options.docker) return startDockerStack(options, progress);
  try {
    const release = releaseOf(options.release);
    const [java, jars] = await Promise.all([requireJava(), resolveJars(release, progress)]);
    return await startJvms(options, { java, jars }, progress);
  } catch (error) {
    if (!(error instanceof MissingToolError && isForDocker(options) && (await isDockerUsable()))) throw error;
    progress(`${error.message.split('. ')[0]}; Docker answers`);
    return startDockerStack(options, progress);
  }
}

async function startJvms(
  options: StackOptions,
  tools: Pick<StackState, 'java' | 'jars'>,
  progress: Progress,
): Promise<Stack> {
  const name = options.name ?? 'dev';
  const keepData = options.keepData ?? false;
  const folder = stackFolder(name);
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted();
    if (!keepData) await rm(folder, { recursive: true, force: true });
    const chosen = await choosePorts(portBlocks(options));
    for (const note of chosen.notes) progress(note);
    const plan = planStack(options, folder, chosen.ports);
    const stack = new LocalStack(initialState(name, plan, { ...tools, keepData }), chosen.all, progress);
    try {
      await stack.start(options.signal);
      return stack;
    } catch (error) {
      await stack.abandon();
      if (options.signal?.aborted && !keepData) await rm(folder, { recursive: true, force: true });
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
