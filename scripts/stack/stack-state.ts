import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeFolder } from './folders.js';
import { isAlive, type ProcessIdentity } from './process-identity.js';
import type { StackPlan } from './stack-plan.js';

/** What `state.json` in the folder of a stack says. */
export interface StackState {
  readonly name: string;
  readonly createdAt: string;
  /** The process that started it. */
  readonly owner: ProcessIdentity;
  readonly java: string;
  readonly jars: string;
  /** False while it starts. */
  readonly ready: boolean;
  /** The data stays when it stops. */
  readonly keepData: boolean;
  readonly plan: StackPlan;
  /** Part -> its process, for parts that were started. */
  readonly processes: Readonly<Record<string, ProcessIdentity>>;
}

export const stackFolder = (name: string): string => join(runtimeFolder, name);
const statePath = (name: string): string => join(stackFolder(name), 'state.json');

/** Replaces the file in one step: a reader never sees half of it. */
export async function saveState(state: StackState): Promise<void> {
  const path = statePath(state.name);
  await mkdir(stackFolder(state.name), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(state, null, 2)}\n`);
  await rename(temporary, path);
}

export async function loadState(name: string): Promise<StackState | undefined> {
  try {
    return JSON.parse(await readFile(statePath(name), 'utf8')) as StackState;
  } catch {
    return undefined;
  }
}

/** Names of the parts that run right now. */
export function livingParts(state: StackState): string[] {
  return Object.entries(state.processes)
    .filter(([, process]) => isAlive(process))
    .map(([name]) => name);
}

/** In use: a part of it runs, or whoever started it is there and may start one again. */
export function isInUse(state: StackState): boolean {
  return isAlive(state.owner) || livingParts(state).length > 0;
}

export async function forgetState(name: string): Promise<void> {
  await rm(statePath(name), { force: true });
}

export async function knownStacks(): Promise<StackState[]> {
  const names = await readdir(runtimeFolder).catch(() => []);
  const states = await Promise.all(names.map((name) => loadState(name)));
  return states.filter((state) => state !== undefined);
}

/** Removes what throw-away stacks left behind whose processes died without a stop. */
export async function sweepAbandoned(): Promise<void> {
  for (const state of await knownStacks()) {
    if (state.keepData || isInUse(state)) continue;
    await rm(stackFolder(state.name), { recursive: true, force: true });
  }
}
