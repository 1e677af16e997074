import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { MemberTask, Report } from './member.js';

/** A member in a process of its own. */
export interface DoomedMember {
  /** SIGKILL. Resolves when everything it reported was passed on. */
  kill(): Promise<void>;
}

/** Resolves when it has joined. */
export async function joinInProcess(task: MemberTask, report: Report): Promise<DoomedMember> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('./member-process.ts', import.meta.url))],
    {
      env: { ...process.env, SOAK_MEMBER: JSON.stringify(task) },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface(child.stdout);
  const over = once(lines, 'close');
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`The process of ${task.name} ended with ${code}`)));
    lines.on('line', (line) => (line === 'a' ? resolve() : report(line)));
  });
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await over;
    },
  };
}
