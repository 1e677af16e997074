/**
 * Writes docs/api from the TSDoc of every public name. With --check it writes nothing and fails when docs/api is not
 * what it would write. Either way it fails when a public name, method or property has no TSDoc.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readApi, type ApiEntry } from './api-reference/read-api.js';
import { writePages } from './api-reference/write-pages.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs/api');

function written(): Map<string, string> {
  mkdirSync(folder, { recursive: true });
  return new Map(
    readdirSync(folder).map((name) => [
      name,
      readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n'),
    ]),
  );
}

/** Names without a word about them. */
function undocumented(entries: readonly ApiEntry[]): string[] {
  const names = entries.flatMap(({ symbols }) =>
    symbols.flatMap(({ name, file, doc, members }) => [
      ...(doc === undefined ? [`${name} (${file})`] : []),
      ...members
        .filter((member) => member.method && member.name !== 'constructor' && member.doc === undefined)
        .map((member) => `${name}.${member.name} (${file})`),
    ]),
  );
  return [...new Set(names)];
}

const entries = readApi(root);
const pages = writePages(entries);
const before = written();
const stale = [...new Set([...pages.keys(), ...before.keys()])].filter(
  (name) => pages.get(name) !== before.get(name),
);
const silent = undocumented(entries);
if (silent.length > 0) {
  console.log(`No TSDoc, write it:\n${silent.map((name) => `  ${name}`).join('\n')}`);
}
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.log(`docs/api is behind the sources (${stale.join(', ')}). Run npm run docs:api and commit it.`);
  }
  process.exit(stale.length > 0 || silent.length > 0 ? 1 : 0);
}
for (const name of stale) {
  const content = pages.get(name);
  if (content === undefined) rmSync(join(folder, name));
  else writeFileSync(join(folder, name), content);
}
console.log(`docs/api: ${pages.size} pages, ${stale.length} changed`);
process.exit(silent.length > 0 ? 1 : 0);
