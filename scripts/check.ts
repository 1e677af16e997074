/**
 * Everything that can be said about the code without running it: format, lint, types, the map of rooms, and
 * whether the package can be consumed. Runs every check, then lists what failed.
 */
import { spawnSync } from 'node:child_process';

const CHECKS: readonly (readonly [name: string, command: string])[] = [
  ['format', 'prettier --check .'],
  ['lint', 'oxlint --type-aware'],
  ['types', 'tsc -p tsconfig.json --noEmit'],
  ['rooms', 'depcruise lib migrations sample-app --config .dependency-cruiser.cjs --output-type err'],
  ['documentation compiles', 'node --import tsx scripts/check-docs.ts'],
  ['API reference is up to date', 'node --import tsx scripts/api-reference.ts --check'],
  ['build', 'node --import tsx scripts/build.ts'],
  ['package: publint', 'publint --strict'],
  ['package: types resolve', 'attw --pack . --ignore-rules cjs-resolves-to-esm'],
];

const only = process.argv.slice(2);
const failed: string[] = [];
for (const [name, command] of CHECKS) {
  if (only.length > 0 && !only.includes(name)) continue;
  const started = performance.now();
  const run = spawnSync(command, {
    shell: true,
    encoding: 'utf8',
    env: { ...process.env, PATH: `node_modules/.bin:${process.env['PATH'] ?? ''}` },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = run.status === 0;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (!ok) {
    failed.push(name);
    console.log(`${run.stdout}${run.stderr}`.trimEnd().replace(/^/gm, '       '));
  }
}
if (failed.length > 0) {
  console.log(
    `\n${failed.length} of ${CHECKS.length} checks failed: ${failed.join(', ')}. Mend what is printed above.`,
  );
  process.exit(1);
}
