import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { identify, type ProcessIdentity } from './process-identity.js';
import { StackError } from './stack-error.js';

/**
 * Runs a command that cannot outlive us.
 *
 * A shell of a few hundred kilobytes starts the command and reads from a pipe that only this process holds.
 * When this process ends, however it ends (SIGKILL included, and at any moment, even before it learned the
 * child's id), the pipe closes and the shell kills what it started. The word `keep` releases the command: that
 * is how `rocketmq start` leaves a stack running behind itself.
 *
 * The command runs in the foreground of the shell, since a shell makes what it runs in the background deaf to SIGINT and
 * SIGQUIT; it reports its own id (fd 3) before it becomes the command. The traps keep the shell alive to collect it.
 */
const SCRIPT = `
exec 4<&0 </dev/null 5>&2 2>/dev/null
signal=$1; shift
trap : INT QUIT TERM
(
  trap '' TERM
  read -r word <&4
  [ "$word" = keep ] || kill -s "$signal" 0
) 3>&- 5>&- &
guard=$!
exec 4<&-
/bin/sh -c 'echo $$ >&3; exec 3>&- 2>&5 5>&-; exec "$@"' tied "$@"
code=$?
kill -s KILL "$guard"
exit "$code"
`;

export interface TiedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Receives stdout and stderr, appended. Not given: they go where ours go. */
  readonly logFile?: string;
  /** What the process group of the command gets when we are gone. @default 'KILL' */
  readonly deathSignal?: 'KILL' | 'QUIT' | 'TERM';
  /** A server: does not keep a script alive that has nothing else to do. @default false */
  readonly background?: boolean;
  readonly uid?: number;
  readonly gid?: number;
}

export interface TiedProcess extends ProcessIdentity {
  /** The process group of the command, the shell included. */
  readonly group: number;
  /** Exit code; 128 + signal number when a signal ended it. */
  readonly exited: Promise<number>;
  /** From now on the command may outlive this process. */
  keep(): Promise<void>;
}

async function firstLine(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.trim();
}

/** Resolves as soon as the command has a process id. */
export async function spawnTied(options: TiedProcessOptions): Promise<TiedProcess> {
  const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a');
  const output = log ?? 'inherit';
  const stdio: StdioOptions = ['pipe', output, output, 'pipe'];
  const shell = spawn(
    '/bin/sh',
    ['-c', SCRIPT, 'tied', options.deathSignal ?? 'KILL', options.command, ...options.args],
    {
      cwd: options.cwd,
      env: options.env,
      uid: options.uid,
      gid: options.gid,
      // A session of its own: Ctrl-C in the terminal reaches us alone, and we stop things in order.
      detached: true,
      stdio,
    },
  );
  if (log !== undefined) closeSync(log);
  const exited = new Promise<number>((resolve) => {
    shell.once('exit', (code, signal) => {
      resolve(code ?? (signal === 'SIGKILL' ? 137 : 143));
    });
  });
  const lifeline = shell.stdin;
  // The shell may be gone already when a word is written to it.
  lifeline?.on('error', () => {});
  try {
    await once(shell, 'spawn');
  } catch (cause) {
    throw new StackError(`${options.command} could not be started: ${String(cause)}`, { cause });
  }
  const pid = Number(await firstLine(shell.stdio[3] as Readable));
  const identity = identify(pid) ?? { pid, startedAt: 'ended' };
  if (options.background) {
    shell.unref();
    (lifeline as Socket | null)?.unref();
  }
  return {
    ...identity,
    group: shell.pid ?? pid,
    exited,
    keep: async () => {
      await new Promise<void>((resolve) => {
        lifeline?.end('keep\n', resolve);
      });
    },
  };
}
