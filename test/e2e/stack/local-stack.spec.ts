import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForUse, nameServerAnswers } from '../../../scripts/stack/cluster-probe.js';
import { runtimeFolder } from '../../../scripts/stack/folders.js';
import { isPortFree } from '../../../scripts/stack/ports.js';
import {
  identify,
  isAlive,
  waitForExit,
  type ProcessIdentity,
} from '../../../scripts/stack/process-identity.js';
import { startPostgres } from '../../../scripts/stack/postgres.js';
import { openStack, startStack, type Stack } from '../../../scripts/stack/stack.js';
import { loadState } from '../../../scripts/stack/stack-state.js';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../../scripts/rocketmq.ts', import.meta.url));
const COMMAND = ['--import', 'tsx', SCRIPT];
/** The stack must come from here, whatever cluster the tests themselves use. */
const environment = { ...process.env, ROCKETMQ_NAME_SERVER: '', ROCKETMQ_VERSION: '5.5.0' };

async function rocketmq(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, [...COMMAND, ...args], { env: environment });
  return stdout + stderr;
}

async function identitiesOf(name: string): Promise<ProcessIdentity[]> {
  return Object.values((await loadState(name))?.processes ?? {});
}

const portOf = (address: string): number => Number(address.split(':')[1]);

describe('npm run rocketmq', () => {
  const name = `e2e-cli-${process.pid}`;
  afterAll(() => rocketmq('stop', '--name', name));

  it('starts a broker that outlives the command, tells where it is, refuses a second and leaves nothing when it stops', async () => {
    const output = await rocketmq('start', '--name', name, '--topic', 'lanes:FIFO:2');
    const nameServer = /ROCKETMQ_NAME_SERVER='([\d.:]+)'/.exec(output)?.[1] ?? '';
    expect(output).toContain('RocketMQ 5.5.0 is running');
    expect(await nameServerAnswers(nameServer)).toBe(true);
    expect(output).toContain('topic lanes: FIFO, 2 queues per broker');
    expect(await rocketmq('topics', 'orders', '--name', name)).toContain('topic orders: NORMAL, 4 queues');

    expect(await rocketmq('status')).toContain(`${name}: RocketMQ 5.5.0, running, name server ${nameServer}`);
    expect(await rocketmq('logs', 'broker-a', '--name', name, '--lines', '500')).toContain('boot success');
    await expect(rocketmq('start', '--name', name)).rejects.toThrow(`The stack '${name}' is running`);

    const processes = await identitiesOf(name);
    expect(processes).toHaveLength(2);
    await rocketmq('stop', '--name', name);
    expect(processes.filter(isAlive)).toEqual([]);
    expect(existsSync(join(runtimeFolder, name))).toBe(false);
    expect(await isPortFree(portOf(nameServer))).toBe(true);
  });

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'leaves no process when it gets %s while it starts',
    async (signal) => {
      const interrupted = `${name}-${signal.toLowerCase()}`;
      const child = spawn(process.execPath, [...COMMAND, 'start', '--name', interrupted], {
        env: environment,
      });
      const exited = once(child, 'exit');
      await expect.poll(() => identitiesOf(interrupted), { timeout: 60_000, interval: 10 }).toHaveLength(2);
      const processes = await identitiesOf(interrupted);
      child.kill(signal);
      await exited;
      for (const process of processes) expect(await waitForExit(process, 10_000)).toBe(true);
    },
  );

  it('says what to install, or to name a cluster, when there is no Java, and leaves nothing', async () => {
    const failure = run(process.execPath, [...COMMAND, 'start', '--name', `${name}-no-java`], {
      env: { ...environment, PATH: '/nowhere', JAVA_HOME: '' },
    });
    await expect(failure).rejects.toThrow(/Install Java 17 .*ROCKETMQ_NAME_SERVER/s);
    expect(existsSync(join(runtimeFolder, `${name}-no-java`))).toBe(false);
  });
});

describe('a stack in the hands of a test', () => {
  const name = `e2e-parts-${process.pid}`;
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({ name, release: '5.5.0' });
  }, 120_000);
  afterAll(() => stack?.stop());

  const usable = async (): Promise<string | undefined> =>
    missingForUse(stack.nameServer, {
      brokerName: 'broker-a',
      brokerId: 0,
      address: stack.broker('broker-a').address,
    });

  it('loses its broker to a crash and gets it back with its data and its address', async () => {
    const broker = stack.broker('broker-a');
    const before = identify(broker.pid!)!;
    const commitLog = join(stack.folder, 'broker-a', 'store', 'commitlog');
    expect(existsSync(commitLog)).toBe(true);

    await broker.kill();
    expect(isAlive(before)).toBe(false);
    expect(broker.running).toBe(false);
    expect(existsSync(commitLog)).toBe(true);
    expect(await isPortFree(portOf(broker.address))).toBe(true);

    await broker.start();
    expect(broker.pid).not.toBe(before.pid);
    expect(await usable()).toBeUndefined();
  });

  it('pauses its broker, which then does not answer, and resumes it', async () => {
    const broker = stack.broker('broker-a');
    broker.pause();
    expect(await usable()).toMatch(/did not answer/);
    expect(broker.running).toBe(true);
    broker.resume();
    await expect.poll(usable, { timeout: 30_000 }).toBeUndefined();
  });

  it('is without a name server for a while, and the brokers find the new one', async () => {
    const nameServer = stack.part('namesrv');
    await nameServer.kill();
    expect(await nameServerAnswers(nameServer.address)).toBe(false);
    await nameServer.start();
    await stack.ready();
    expect(await usable()).toBeUndefined();
  });

  it('names its parts when it is asked for one it does not have', () => {
    expect(() => stack.broker('broker-z')).toThrow(/no part 'broker-z'\. It has: broker-a\./);
  });

  it('can be looked at from another process by its name', async () => {
    const seen = await openStack(name);
    expect(seen?.parts.map((part) => [part.name, part.pid])).toEqual(
      stack.parts.map((part) => [part.name, part.pid]),
    );
  });

  it('leaves no process and no folder when it stops', async () => {
    const processes = await identitiesOf(name);
    await stack.stop();
    await stack.stop();
    expect(processes.filter(isAlive)).toEqual([]);
    expect(existsSync(stack.folder)).toBe(false);
  });
});

describe('a stack that keeps its data', () => {
  it('is stopped in an orderly way, and has it again the next time', async () => {
    const name = `e2e-keep-${process.pid}`;
    const first = await startStack({ name, release: '5.5.0', keepData: true });
    const store = join(first.folder, 'broker-a', 'store');
    writeFileSync(join(store, 'remembered'), '');
    await first.stop();
    // The broker removes this file as the last thing of an orderly stop, and then recovers less the next time.
    expect(existsSync(join(store, 'abort'))).toBe(false);
    expect(existsSync(join(store, 'checkpoint'))).toBe(true);

    const second = await startStack({ name, release: '5.5.0', keepData: true });
    expect(existsSync(join(store, 'remembered'))).toBe(true);
    await second.stop({ keepData: false });
    expect(existsSync(second.folder)).toBe(false);
  });
});

describe('a PostgreSQL of our own', () => {
  it('keeps what was committed through a crash, and leaves no process when it stops', async () => {
    const { Client } = await import('pg');
    const postgres = await startPostgres({ name: `e2e-${process.pid}` });
    const query = async (sql: string): Promise<unknown[]> => {
      const client = new Client({ connectionString: postgres.url });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql)).rows;
      } finally {
        await client.end();
      }
    };
    try {
      await query('CREATE TABLE committed (id int)');
      await query('INSERT INTO committed VALUES (1)');
      await postgres.kill();
      expect(postgres.running).toBe(false);
      await postgres.restart();
      expect(await query('SELECT * FROM committed')).toEqual([{ id: 1 }]);
    } finally {
      await postgres.stop();
    }
    expect(postgres.pid).toBeUndefined();
    expect(await isPortFree(postgres.port)).toBe(true);
  });
});
