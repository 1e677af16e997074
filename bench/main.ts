/**
 * npm run bench [-- send|consume|listener|outbox|idempotent|start|memory|growth …] [--quick] [--full] [--json | --markdown]
 *
 * Starts what it needs, measures ours and the peers interleaved in one run on one machine, prints figures and ratios.
 *
 * --quick     small numbers, to see that it works; the figures mean nothing
 * --full      also what takes long: five million pending rows, an idle transaction of ten minutes
 * --json      the same as JSON
 * --markdown  writes the tables into docs/performance.md; the machine must have nothing else to do
 */
import { AREAS } from './areas.js';
import { BenchContext } from './context.js';
import { loadPerCore, machineOf } from './machine.js';
import { renderArea, type Area } from './report.js';
import { writeIntoDocument } from './document.js';

const words = process.argv.slice(2);
const flags = new Set(words.filter((word) => word.startsWith('--')));
const chosen = words.filter((word) => !word.startsWith('--'));
const unknown = [
  ...chosen.filter((word) => !(word in AREAS)),
  ...[...flags].filter((flag) => !['--quick', '--full', '--json', '--markdown'].includes(flag)),
];
if (unknown.length > 0) {
  console.error(
    `Not known: ${unknown.join(', ')}. Areas: ${Object.keys(AREAS).join(', ')}; flags: --quick --full --json --markdown.`,
  );
  process.exit(2);
}
const quick = flags.has('--quick');
const load = loadPerCore();
if (flags.has('--markdown') && (quick || load > 0.25)) {
  console.error(
    quick
      ? 'Figures of a --quick run mean nothing and do not go into the document.'
      : `The machine is busy (load ${load.toFixed(2)} per core): its figures do not go into the document. Try again when it is idle.`,
  );
  process.exit(2);
}

const plan = {
  ...(quick ? { rounds: 1, roundMs: 400, warmUpMs: 200 } : { rounds: 5, roundMs: 2000, warmUpMs: 2000 }),
  quick,
  full: flags.has('--full'),
};
const context = new BenchContext(plan, (line) => void process.stderr.write(`… ${line}\n`));
try {
  const areas: Area[] = [];
  for (const [name, measure] of Object.entries(AREAS)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    context.progress(name);
    for (const area of await measure(context)) {
      areas.push(area);
      if (!flags.has('--json')) console.log(renderArea(area));
    }
  }
  const machine = machineOf(load);
  const command = ['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' ');
  if (flags.has('--json')) console.log(JSON.stringify({ machine, command, plan, areas }, null, 2));
  else console.log(`\n${machine.join('\n')}`);
  if (flags.has('--markdown')) writeIntoDocument(machine, command, areas);
} finally {
  await context.close();
}
