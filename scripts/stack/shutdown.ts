import { readFileSync } from 'node:fs';
import { parseProcStat } from './process-identity.js';

type Work = () => Promise<unknown>;

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const pending: Work[] = [];
let installed = false;
let signalled: AbortController | undefined;

/** Aborted when a signal arrives: pass it to whatever waits, so that it stops waiting. */
export function shutdownSignal(): AbortSignal {
  install();
  return (signalled ??= new AbortController()).signal;
}

/**
 * Registers work for Ctrl-C and friends: run once, the latest first, then the process exits as one that was
 * interrupted. A second Ctrl-C does not wait: what was started hangs on a pipe and ends with this process.
 * @returns a function that takes the work off the list.
 */
export function onShutdown(work: Work): () => void {
  install();
  pending.push(work);
  return () => {
    const index = pending.indexOf(work);
    if (index >= 0) pending.splice(index, 1);
  };
}

function install(): void {
  if (installed) return;
  installed = true;
  let running = false;
  const interrupt = (reason: string, code: number): void => {
    if (running) process.exit(code);
    running = true;
    console.error(`\n${reason}: stopping what was started (again to leave at once)`);
    void runAll().finally(() => process.exit(code));
  };
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => interrupt(signal, code));
  if (process.env.npm_lifecycle_event !== undefined)
    watchNpm(() => interrupt('npm has gone', SIGNALS.SIGTERM));
}

/** Our parent, a shell in most cases, and its parent, npm. The latter only where /proc tells. */
function ancestors(): string {
  const parent = process.ppid;
  try {
    return `${parent} ${parseProcStat(readFileSync(`/proc/${parent}/stat`, 'utf8')).parent}`;
  } catch {
    return String(parent);
  }
}

/** A signal that ends npm does not reach the scripts it runs. */
function watchNpm(gone: () => void): void {
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    gone();
  }, 250);
  timer.unref();
}

async function runAll(): Promise<void> {
  signalled?.abort(new Error('interrupted'));
  while (pending.length > 0) {
    const work = pending.pop();
    try {
      await work?.();
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
    }
  }
}
