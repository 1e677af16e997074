import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSampleApp } from '../../../scripts/demo/sample-build.js';
import { nameServer } from '../../support/broker.js';
import { waitFor } from '../../support/wait-for.js';
import { databaseUrl } from './database-url.js';

class Demo {
  private output = '';
  private readonly child;
  private readonly exit: Promise<number | null>;

  constructor(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, ['--import', 'tsx', 'scripts/demo.ts', ...args], {
      env: {
        ...process.env,
        ROCKETMQ_NAME_SERVER: nameServer(),
        DATABASE_URL: databaseUrl(),
        // Five seconds in the test configuration; counts for brokers without timers only.
        PAYMENT_WINDOW_LEVEL: '15',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.on('data', (chunk) => (this.output += String(chunk)));
    this.child.stderr.on('data', (chunk) => (this.output += String(chunk)));
    this.exit = once(this.child, 'exit').then(([code]) => code as number | null);
  }

  async says(text: string | RegExp): Promise<RegExpMatchArray> {
    return waitFor(() => this.output.match(text) ?? undefined, {
      timeoutMs: 90_000,
      describe: () => `the demo to say ${String(text)}; it said:\n${this.output}`,
    });
  }

  interrupt(): void {
    this.child.kill('SIGINT');
  }

  async ended(): Promise<{ readonly code: number | null; readonly output: string }> {
    const code = await this.exit;
    return { code, output: this.output };
  }
}

async function demoDatabases(): Promise<readonly string[]> {
  const client = new Client({ connectionString: databaseUrl() });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname LIKE 'demo\\_%' ORDER BY 1`,
  );
  await client.end();
  return rows.map(({ datname }) => datname);
}

describe('the demo', () => {
  let before: readonly string[];

  beforeAll(async () => {
    await buildSampleApp();
    before = await demoDatabases();
  });
  afterAll(async () => {
    expect(await demoDatabases()).toEqual(before);
  });

  it('shows every order to its end, finds the books right and exits with 0', async () => {
    const { code, output } = await new Demo().ended();
    expect(output).toContain('everything is stopped');
    expect(output).not.toContain('WRONG');
    expect(output).toMatch(/pending -> awaiting-payment -> paid, each once; reservation sold/);
    expect(output).toMatch(/pending -> awaiting-payment -> cancelled, each once; reservation released/);
    expect(output).toMatch(/pending -> rejected, each once; reservation none/);
    expect(code, output).toBe(0);
  });

  it('interrupted in the middle, it stops what it started', async () => {
    const demo = new Demo();
    const [, url] = await demo.says(/ready at (http:\S+)/);
    demo.interrupt();
    const { code, output } = await demo.ended();
    expect(code, output).toBe(130);
    await expect(fetch(url!)).rejects.toThrow('fetch failed');
  });

  it('--serve keeps the shop open until it is interrupted', async () => {
    const demo = new Demo(['--serve']);
    const [, url] = await demo.says(/open at (http:\/\/[\d.]+:\d+)/);
    expect((await fetch(`${url!}/orders`)).status).toBe(200);
    await demo.says(`described at ${url!}/docs`);
    for (const path of ['/docs', '/docs/json', '/metrics', '/health']) {
      expect((await fetch(url! + path)).status, path).toBe(200);
    }
    demo.interrupt();
    expect((await demo.ended()).code).toBe(130);
    await expect(fetch(url!)).rejects.toThrow('fetch failed');
  });

  it('says what is wrong when the database cannot be reached, and exits with 1', async () => {
    const { code, output } = await new Demo([], {
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere',
    }).ended();
    expect(code).toBe(1);
    expect(output).toMatch(/Check that DATABASE_URL names a running PostgreSQL/);
  });
});
