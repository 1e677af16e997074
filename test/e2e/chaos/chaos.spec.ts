import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';

/** It takes two to three minutes where nothing else runs. */
const LIMIT_MS = 900_000;

/** The command as people run it, on servers of its own. */
describe('chaos', () => {
  let child: ChildProcess | undefined;

  afterAll(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  it(
    'every kind of fault, and every law is kept',
    async () => {
      let output = '';
      child = spawn(
        process.execPath,
        ['--import', 'tsx', 'scripts/chaos.ts', '--minutes', '1.2', '--rate', '25', '--seed', '1'],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      child.stdout?.on('data', (chunk) => (output += String(chunk)));
      child.stderr?.on('data', (chunk) => (output += String(chunk)));
      await once(child, 'close');
      expect(child.exitCode, output).toBe(0);

      const figures = new Map(
        [...output.matchAll(/^\| ([^|]+) \| (\d+) \|/gm)].map(([, name, count]) => [name, Number(count)]),
      );
      for (const violation of ['lost', 'phantom', 'double effects', 'order violations', 'other violations']) {
        expect(figures.get(violation), violation).toBe(0);
      }
      expect(figures.get('messages committed')).toBeGreaterThan(100);
      expect(figures.get('delivered')).toBeGreaterThan(100);
      const kinds = [...figures].filter(([name]) =>
        /SIG|cut|delayed|stalled|restarted|killed|clock|idle/.test(name ?? ''),
      );
      expect(kinds).toHaveLength(26);
      for (const [name, injected] of kinds) expect(injected, name).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
