import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  endProcess,
  identify,
  isAlive,
  parseProcStat,
  signalProcess,
  waitForExit,
  type ProcessIdentity,
} from '../../../scripts/stack/process-identity.js';

async function sleeper(before = ''): Promise<ProcessIdentity> {
  const child = spawn('/bin/sh', ['-c', `${before} echo; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return identify(child.pid!)!;
}

describe('a process', () => {
  it('is known by its id and its start', async () => {
    const process = await sleeper();
    expect(isAlive(process)).toBe(true);
    await endProcess(process, 0);
    expect(isAlive(process)).toBe(false);
    expect(identify(process.pid)).toBeUndefined();
  });

  it('that got a recycled id is another one: it is neither alive for us nor signalled', async () => {
    const stranger = await sleeper();
    const remembered = { pid: stranger.pid, startedAt: 'before the last reboot' };
    expect(isAlive(remembered)).toBe(false);
    expect(signalProcess(remembered, 'SIGKILL')).toBe(false);
    await endProcess(remembered, 1000);
    expect(isAlive(stranger)).toBe(true);
    await endProcess(stranger, 0);
  });

  it('that ignores SIGTERM is killed after the grace', async () => {
    const stubborn = await sleeper("trap '' TERM;");
    await endProcess(stubborn, 100);
    expect(isAlive(stubborn)).toBe(false);
  });

  it('that is paused can be ended', async () => {
    const paused = await sleeper();
    signalProcess(paused, 'SIGSTOP');
    await endProcess(paused, 5000);
    expect(isAlive(paused)).toBe(false);
  });

  it('that goes on is reported as such', async () => {
    const process = await sleeper();
    expect(await waitForExit(process, 50)).toBe(false);
    await endProcess(process, 0);
    expect(await waitForExit(process, 50)).toBe(true);
  });
});

describe('/proc/<pid>/stat', () => {
  it('is read although the name of the command contains brackets and spaces', () => {
    const stat = '4711 (a) b (c) S 1 4711 4711 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 1';
    expect(parseProcStat(stat)).toEqual({ state: 'S', parent: '1', startTime: '987654' });
  });
});
