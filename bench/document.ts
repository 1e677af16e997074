import { readFileSync, writeFileSync } from 'node:fs';
import { renderArea, type Area } from './report.js';

const DOCUMENT = new URL('../docs/performance.md', import.meta.url);
const BEGIN = '<!-- npm run bench -- --markdown writes from here -->';
const END = '<!-- to here -->';

/** Replaces what stands between the two marks of docs/performance.md. */
export function writeIntoDocument(machine: readonly string[], command: string, areas: readonly Area[]): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin)
    throw new Error(`docs/performance.md has lost its marks "${BEGIN}", "${END}".`);
  const lines = [
    `\n${new Date().toISOString().slice(0, 10)}, \`${command}\`\n`,
    ...machine.map((fact) => `- ${fact}`),
  ];
  const tables = areas.map(renderArea).join('\n');
  writeFileSync(
    DOCUMENT,
    `${text.slice(0, begin)}${BEGIN}\n${lines.join('\n')}\n${tables}\n\n${text.slice(end)}`,
  );
}
