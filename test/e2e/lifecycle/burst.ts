import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRocketMQClient } from 'nestjs-rocketmq';
import { expect } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { waitFor } from '../../support/wait-for.js';

const KEYS = 16;
const PER_KEY = 40;
const TOTAL = KEYS * PER_KEY;

/** How to start the application of burst-app.ts. */
export interface BurstApp {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
}

/**
 * Sends a burst, stops the application with SIGTERM in the middle of it, lets a second one do the rest, and looks at
 * what both noted: every message once, nothing begun and not ended, nothing after the database was closed.
 */
export async function stopInTheMiddleOfABurst(app: BurstApp, mode: 'concurrent' | 'ordered'): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-burst-'));
  const topic = uniqueName(`burst-${mode}`);
  const group = uniqueName('group');
  const client = createRocketMQClient({ nameServer: nameServer() });
  await client.start();
  const processes: AppProcess[] = [];
  const start = (handlerMs: number): AppProcess => {
    const env = {
      TOPIC: topic,
      GROUP: group,
      MODE: mode,
      HANDLER_MS: String(handlerMs),
      WITNESS: join(folder, `witness-${processes.length}`),
    };
    const started = new AppProcess(app, env);
    processes.push(started);
    return started;
  };
  try {
    await client.admin.createTopic(topic, { queues: 8, type: mode === 'ordered' ? 'FIFO' : 'NORMAL' });
    await client.admin.createTopic(`${topic}-done`, { queues: 1 });
    const producer = client.createProducer({ group: uniqueName('producer') });
    await producer.start();
    for (let n = 0; n < PER_KEY; n++) {
      await Promise.all(
        Array.from({ length: KEYS }, (_, index) => {
          const key = `key-${index}`;
          return producer.send({ topic, orderingKey: key, body: Buffer.from(JSON.stringify({ key, n })) });
        }),
      );
    }

    // So slow that nobody finishes it before the signal comes.
    const first = start(200);
    await waitFor(() => first.lines('end').length >= 10, { describe: () => first.story() });
    expect(await first.progress()).toMatchObject({ listeners: ['running'] });
    await first.terminate();
    const before = first.lines('end').length;
    expect(before).toBeLessThan(TOTAL);
    expect(first.lines('begin')).toHaveLength(before);
    first.expectOrder();

    const second = start(1);
    await waitFor(() => second.lines('end').length >= TOTAL - before, { describe: () => second.story() });
    await second.terminate();
    second.expectOrder();

    const ended = [...first.lines('end'), ...second.lines('end')];
    const expected = Array.from({ length: TOTAL }, (_, i) => `key-${i % KEYS} ${Math.floor(i / KEYS)} 1`);
    expect([...ended].sort()).toEqual([...expected].sort());
    if (mode === 'ordered') {
      for (let key = 0; key < KEYS; key++) {
        const ofKey = (line: string): boolean => line.startsWith(`key-${key} `);
        expect(ended.filter(ofKey)).toEqual(expected.filter(ofKey));
      }
    }
    // Brokers put messages into their queues a moment after they acknowledged them.
    await waitFor(async () => stored(await client.admin.offsets(`${topic}-done`)) >= TOTAL);
    expect(stored(await client.admin.offsets(`${topic}-done`))).toBe(TOTAL);
    expect((await client.admin.lag(group, topic)).total).toBe(0);
  } finally {
    for (const each of processes) each.kill();
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function stored(offsets: ReadonlyMap<string, { readonly max: number }>): number {
  return [...offsets.values()].reduce((sum, { max }) => sum + max, 0);
}

class AppProcess {
  private readonly child: ChildProcess;
  private readonly gone: Promise<unknown>;
  private output = '';
  private errors = '';

  constructor(
    { command, args, cwd }: BurstApp,
    private readonly env: { readonly WITNESS: string } & Readonly<Record<string, string>>,
  ) {
    this.child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    this.gone = once(this.child, 'exit');
  }

  noted(): string[] {
    if (!existsSync(this.env.WITNESS)) return [];
    return readFileSync(this.env.WITNESS, 'utf8').trim().split('\n');
  }

  /** Without the word. */
  lines(word: 'begin' | 'end'): string[] {
    return this.noted()
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1));
  }

  /** Handlers run between the hooks of the application. */
  expectOrder(): void {
    const notes = this.noted().map((line) => line.replace(/ .*/, ''));
    expect(notes[0]).toBe('bootstrapped');
    expect(notes.slice(-3)).toEqual(['end', 'destroyed', 'database']);
  }

  story(): string {
    const state = this.child.exitCode ?? this.child.signalCode ?? 'running';
    return `the application (${state}): ${this.noted().length} notes, ${this.output}${this.errors}`;
  }

  /** What it says over HTTP. */
  async progress(): Promise<unknown> {
    const url = await waitFor(() => /listening (\S+)/.exec(this.output)?.[1]);
    const response = await fetch(`${url}/progress`);
    return response.json();
  }

  /** Resolves when it has ended by itself. */
  async terminate(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.gone;
    // Nest sends itself the signal again when everything is closed.
    expect([0, 'SIGTERM'], this.story()).toContain(this.child.exitCode ?? this.child.signalCode);
    expect(this.errors).not.toMatch(/error/i);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}
