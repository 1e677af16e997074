import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * One process, and not another one that got its number later: process ids are recycled, the pair of id and
 * start time is not.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

/** Fields 3, 4 and 22 (start time in clock ticks since boot) of `/proc/<pid>/stat`. */
export function parseProcStat(stat: string): { state: string; parent: string; startTime: string } {
  // The second field is the command in brackets and may itself contain spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', parent: fields[1] ?? '', startTime: fields[19] ?? '' };
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'boot';
  }
}

/**
 * A killed JVM is a zombie as soon as its first thread has gone, while others still hold its ports. It has ended when
 * none is left, reaped or not.
 */
function hasOtherThreads(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).length > 1;
}

function startTimeOnLinux(pid: number): string | undefined {
  try {
    const { state, startTime } = parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (startTime === '' || (state === 'Z' && !hasOtherThreads(pid))) return undefined;
    return `${bootId()}:${startTime}`;
  } catch {
    return undefined;
  }
}

function startTimeElsewhere(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}

/** Undefined when no such process runs (a zombie does not run). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? startTimeOnLinux(pid) : startTimeElsewhere(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startedAt === process.startedAt;
}

/** Sends the signal unless the process has ended, even if its id belongs to somebody else by now. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** @returns whether the process ended within the time. */
export async function waitForExit(target: ProcessIdentity, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (isAlive(target)) {
    if (performance.now() >= deadline) return false;
    await delay(20);
  }
  return true;
}

/** SIGTERM, then SIGKILL after the grace. Resolves when the process has gone. */
export async function endProcess(target: ProcessIdentity, graceMilliseconds: number): Promise<void> {
  // A stopped process (SIGSTOP) would keep the SIGTERM pending for ever.
  signalProcess(target, 'SIGCONT');
  if (graceMilliseconds > 0) {
    signalProcess(target, 'SIGTERM');
    if (await waitForExit(target, graceMilliseconds)) return;
  }
  signalProcess(target, 'SIGKILL');
  await waitForExit(target, 10_000);
}
