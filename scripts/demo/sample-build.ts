import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { projectFolder } from '../stack/folders.js';

const SOURCES = ['lib', 'migrations', 'sample-app', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
const STAMP = join(projectFolder, 'dist/.sample-app-built');

export const sampleAppEntry = join(projectFolder, 'dist/sample-app/src/main.js');

/**
 * Builds the sample application and the library it imports, as a Nest user would: `nest build`. Does nothing when no
 * source is younger than the last build.
 * @returns whether it had to build
 */
export async function buildSampleApp(signal?: AbortSignal): Promise<boolean> {
  const began = Date.now();
  if (Math.max(...SOURCES.map((path) => youngest(join(projectFolder, path)))) < builtAt()) return false;
  const nest = join(
    dirname(createRequire(import.meta.url).resolve('@nestjs/cli/package.json')),
    'bin/nest.js',
  );
  await run(process.execPath, [nest, 'build'], signal);
  writeFileSync(STAMP, `${began}\n`);
  return true;
}

function builtAt(): number {
  // The program is what counts: a stamp without it says nothing.
  if (!existsSync(sampleAppEntry) || !existsSync(STAMP)) return 0;
  return Number(readFileSync(STAMP, 'utf8'));
}

function youngest(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => youngest(join(path, name))));
}

async function run(command: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, args, { cwd: projectFolder, stdio: ['ignore', 'pipe', 'pipe'], signal });
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`The build of the sample application failed. Mend what it says:\n${output}`));
    });
  });
}
