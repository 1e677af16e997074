/**
 * Builds the package: ESM and the sample application into dist/, CommonJS into dist/cjs.
 *
 * Both builds are incremental; a second run with nothing changed takes a moment.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

async function compile(project: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`tsc -p ${project} failed; its messages are above.`));
    });
  });
}

mkdirSync('dist/cjs', { recursive: true });
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');
try {
  await Promise.all(['tsconfig.build.json', 'tsconfig.cjs.json'].map(compile));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
