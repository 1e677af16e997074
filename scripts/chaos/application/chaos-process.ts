import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ChaosProcess, ProcessPlan } from '../contract.js';
import { HistoryWriter } from '../history/history-writer.js';
import { projectFolder } from '../../stack/folders.js';
import { PLAN_VARIABLE } from './read-plan.js';

/** A process that has not ended by itself this long after it was told to leave, is stuck. Milliseconds. */
const GRACE_MS = 90_000;

/** Its output goes to `<name>.log` in the folder of the run. It ends with the process that started it. */
export function startChaosProcess(plan: ProcessPlan): ChaosProcess {
  const log = openSync(join(plan.folder, `${plan.name}.log`), 'a');
  const entry = fileURLToPath(new URL('./process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', entry], {
    cwd: projectFolder,
    env: { ...process.env, NO_COLOR: '1', [PLAN_VARIABLE]: JSON.stringify(plan) },
    stdio: ['pipe', log, log, 'pipe'],
  });
  closeSync(log);
  return watch(plan, child);
}

function watch(plan: ProcessPlan, child: ChildProcess): ChaosProcess {
  let wasReady = false;
  let asked = false;
  let late = false;
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', (code, signal) => {
      const history = new HistoryWriter(plan.folder, plan.name);
      history.add({ what: 'exited', code, signal, wasReady, asked, late });
      history.close();
      resolve();
    });
  });
  const ready = new Promise<void>((resolve, reject) => {
    const reports = child.stdio[3] as Readable;
    reports.once('data', () => {
      wasReady = true;
      resolve();
    });
    reports.on('error', () => undefined);
    void exited.then(() => {
      const end = child.signalCode ?? child.exitCode;
      reject(new Error(`${plan.name} ended with ${end} before it was ready; see ${plan.name}.log`));
    });
  });
  ready.catch(() => undefined);
  child.stdin?.on('error', () => undefined);
  const leave = async (): Promise<void> => {
    asked = true;
    child.kill('SIGTERM');
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, GRACE_MS);
    await exited;
    clearTimeout(timer);
  };
  return { plan, child, ready, exited, leave };
}
