/** A member in a process of its own, to be killed without a word. Ends with the process that started it. */
import { writeSync } from 'node:fs';
import { join, type MemberTask } from './member.js';

// Written at once: what was reported before a SIGKILL arrives.
const report = (line: string): void => void writeSync(1, `${line}\n`);

process.stdin.resume().on('end', () => process.exit(0));

async function main(): Promise<void> {
  await join(JSON.parse(process.env['SOAK_MEMBER'] ?? '{}') as MemberTask, report);
  report('a');
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
