import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endProcess, identify, isAlive, waitForExit } from '../../../scripts/stack/process-identity.js';
import { spawnTied } from '../../../scripts/stack/tied-process.js';

const MODULE = fileURLToPath(new URL('../../../scripts/stack/tied-process.ts', import.meta.url));

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tied-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A script of its own that starts something tied to itself, prints its id and then does what it is told. */
async function owner(
  afterwards: string,
): Promise<{ readonly pid: number; readonly child: ChildProcess; readonly ended: Promise<unknown> }> {
  const script = `
    const { spawnTied } = await import(${JSON.stringify(MODULE)});
    const tied = await spawnTied({ command: '/bin/sleep', args: ['60'], background: true });
    console.log(tied.pid);
    ${afterwards}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { pid: Number(line.toString()), child, ended };
}

describe('a tied process', () => {
  it('runs with its arguments as they are and leaves its output in the log', async () => {
    const logFile = join(folder, 'log');
    const args = ['%s|', 'a b', '*', '$HOME', "it's"];
    const tied = await spawnTied({ command: '/usr/bin/printf', args, logFile });
    expect(await tied.exited).toBe(0);
    expect(readFileSync(logFile, 'utf8')).toBe("a b|*|$HOME|it's|");
  });

  it('has the exit code of the command', async () => {
    const tied = await spawnTied({ command: '/bin/sh', args: ['-c', 'exit 7'] });
    expect(await tied.exited).toBe(7);
  });

  it('is the command, not a shell around it', async () => {
    const tied = await spawnTied({ command: '/bin/sleep', args: ['60'] });
    await endProcess(tied, 0);
    expect(await tied.exited).toBe(137);
  });

  it('is an error when there is no such command', async () => {
    const tied = await spawnTied({
      command: join(folder, 'nothing'),
      args: [],
      logFile: join(folder, 'log'),
    });
    expect(await tied.exited).toBe(127);
  });

  it('dies when its owner is killed', async () => {
    const { pid, child, ended } = await owner('setInterval(() => {}, 1000);');
    const tied = identify(pid)!;
    expect(isAlive(tied)).toBe(true);
    child.kill('SIGKILL');
    await ended;
    expect(await waitForExit(tied, 5000)).toBe(true);
  });

  it('does not keep its owner alive, and dies with it', async () => {
    const { pid, ended } = await owner('');
    expect(await ended).toEqual([0, null]);
    const tied = identify(pid);
    if (tied) expect(await waitForExit(tied, 5000)).toBe(true);
  });

  it('outlives its owner when it is to be kept', async () => {
    const { pid, ended } = await owner('await tied.keep();');
    expect(await ended).toEqual([0, null]);
    const kept = identify(pid)!;
    expect(isAlive(kept)).toBe(true);
    await endProcess(kept, 0);
  });

  it('gets the signal it is to die of', async () => {
    const script = `
      const { spawnTied } = await import(${JSON.stringify(MODULE)});
      const args = ['-c', 'trap "echo bye > ${join(folder, 'farewell')}; exit" QUIT; echo; while :; do sleep 0.05; done'];
      await spawnTied({ command: '/bin/sh', args, background: true, deathSignal: 'QUIT', logFile: '${join(folder, 'log')}' });
      const { readFileSync } = await import('node:fs');
      while (readFileSync('${join(folder, 'log')}', 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 10));`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: 'inherit',
    });
    await once(child, 'exit');
    await expect.poll(() => readFileSync(join(folder, 'farewell'), 'utf8'), { timeout: 5000 }).toBe('bye\n');
  });
});
