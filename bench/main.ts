/**
 * npm run bench [-- send|consume …] [--quick] [--json]
 *
 * Starts what it needs, measures ours and the peers interleaved in one run on one machine, prints figures and ratios.
 */
import { cpus } from 'node:os';
import { benchConsume } from './areas/consume.js';
import { benchSend } from './areas/send.js';
import { openContext, type BenchContext } from './context.js';
import { renderArea, type Area } from './report.js';

const AREAS: Readonly<Record<string, (context: BenchContext) => Promise<readonly Area[]>>> = {
  send: benchSend,
  consume: benchConsume,
};

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const json = words.includes('--json');
const chosen = words.filter((word) => !word.startsWith('--'));
const unknown = chosen.filter((word) => !(word in AREAS));
if (unknown.length > 0) {
  console.error(`No such area: ${unknown.join(', ')}. Choose from ${Object.keys(AREAS).join(', ')}.`);
  process.exit(2);
}

const progress = (line: string): void => void process.stderr.write(`… ${line}\n`);
const plan = quick
  ? { rounds: 1, roundMs: 500, warmUpMs: 300 }
  : { rounds: 5, roundMs: 2000, warmUpMs: 2000 };
const context = await openContext(plan, progress);
try {
  const areas: Area[] = [];
  for (const [name, measure] of Object.entries(AREAS)) {
    if (chosen.length === 0 || chosen.includes(name)) areas.push(...(await measure(context)));
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'CPU'}, Node ${process.version}`;
  console.log(
    json
      ? JSON.stringify({ machine, plan, areas }, null, 2)
      : [`Machine: ${machine}`, ...areas.map(renderArea)].join('\n'),
  );
} finally {
  await context.close();
}
