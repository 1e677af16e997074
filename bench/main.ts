/**
 * npm run bench [-- send|consume|listener|outbox|idempotent|start|memory|growth …] [--quick] [--full] [--resume]
 *               [--profile] [--json | --markdown]
 *
 * Starts what it needs, measures ours and the peers interleaved in one run on one machine, prints figures and ratios.
 *
 * --quick     small numbers, to see that it works; the figures mean nothing
 * --full      also what takes long: five million pending rows, an idle transaction of ten minutes
 * --resume    goes on with a run that was interrupted: what it had finished is not measured again
 * --profile   also writes where the CPU of our own rounds goes to docs/performance/profile-*.md; figures suffer
 * --json      the same as JSON
 * --markdown  writes the tables into docs/performance.md, with --resume also those measured before; the machine must
 *             have nothing else to do
 */
import { AREAS } from './areas.js';
import { BenchContext } from './context.js';
import { loadPerCore, machineOf } from './machine.js';
import { OURS, renderArea, type Area } from './report.js';
import { writeIntoDocument } from './document.js';
import type { Plan } from './measure.js';
import { RoundProfiler } from './profile.js';
import { RunRecord } from './run-record.js';
import { onShutdown, shutdownSignal } from '../scripts/stack/shutdown.js';

const words = process.argv.slice(2);
const flags = new Set(words.filter((word) => word.startsWith('--')));
const chosen = words.filter((word) => !word.startsWith('--'));
const FLAGS = ['--quick', '--full', '--resume', '--profile', '--json', '--markdown'];
const unknown = [
  ...chosen.filter((word) => !(word in AREAS)),
  ...[...flags].filter((flag) => !FLAGS.includes(flag)),
];
if (unknown.length > 0) {
  console.error(
    `Not known: ${unknown.join(', ')}. Areas: ${Object.keys(AREAS).join(', ')}; flags: ${FLAGS.join(' ')}.`,
  );
  process.exit(2);
}
const quick = flags.has('--quick');
const load = loadPerCore();
if (flags.has('--markdown') && (quick || flags.has('--profile') || load > 0.25)) {
  console.error(
    quick || flags.has('--profile')
      ? 'Figures of a run with --quick or --profile mean nothing and do not go into the document.'
      : `The machine is busy (load ${load.toFixed(2)} per core): its figures do not go into the document. Try again when it is idle.`,
  );
  process.exit(2);
}

const progress = (line: string): void => void process.stderr.write(`… ${line}\n`);
const machine = machineOf(load);
const profiler = flags.has('--profile') ? await RoundProfiler.start() : undefined;
const plan: Plan = {
  ...(quick ? { rounds: 1, roundMs: 400, warmUpMs: 200 } : { rounds: 5, roundMs: 2000, warmUpMs: 2000 }),
  quick,
  full: flags.has('--full'),
  around: profiler && ((name, round) => (name === OURS ? profiler.during(round) : round())),
};
const conditions = [machineOf().join('; '), ...(quick ? ['quick'] : []), ...(profiler ? ['profiled'] : [])];
const record = RunRecord.open(conditions.join('; '), flags.has('--resume'), progress);
if (record === undefined) process.exit(2);
const context = new BenchContext(plan, progress, record, profiler);
onShutdown(() => context.close());
const interrupted = shutdownSignal();
process.on('uncaughtException', (error) => {
  if (interrupted.aborted) return; // what was under way fails when its servers stop
  console.error(error);
  process.exit(1);
});
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
  const command = ['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' ');
  if (flags.has('--json')) console.log(JSON.stringify({ machine, command, plan, areas }, null, 2));
  else console.log(`\n${[...machine, `Time: ${Math.round(record.seconds / 60)} minutes`].join('\n')}`);
  if (flags.has('--markdown')) writeIntoDocument(machine, command, record.areas(Object.keys(AREAS)));
} finally {
  await context.close();
}
