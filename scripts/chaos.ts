/**
 * Real processes, a real broker and a real database, and everything that happens to them in bad years.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULT_KINDS } from './chaos/faults/kinds.js';
import { isClean, renderReport } from './chaos/report.js';
import { Run } from './chaos/run.js';
import { runtimeFolder } from './stack/folders.js';
import { onShutdown, shutdownSignal } from './stack/shutdown.js';
import { StackError } from './stack/stack.js';

const HELP = `npm run chaos -- [--minutes 10] [--seed S] [--rate 60] [--only TEXT] [--keep]

Starts a RocketMQ, a PostgreSQL and processes of an application that sends and handles messages (outbox, transactional
messages, idempotent consumers); kills, stops, cuts and delays all of them; and judges the histories. Ends with 1 when a
message was lost, invented, handled twice or out of order, or a process did what it must not; the histories stay then.

  --minutes   how long faults are injected; every kind has its turn at least once. From about ${Math.ceil(
    FAULT_KINDS.length / 3,
  )} minutes on one after the
              other, with the recovery measured; below that side by side
  --seed      chooses the faults. Another run with it has the same faults, not the same interleaving
  --rate      transactions begun per second, over all producers
  --only      only kinds of faults with this in their name; may be repeated. See --list
  --list      the kinds of faults
  --keep      the folder with the histories stays in any case

Linux only: the broker's proxy listens on 127.0.0.2.`;

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    rate: { type: 'string', default: '60' },
    only: { type: 'string', multiple: true },
    list: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function positive(name: 'minutes' | 'rate'): number {
  const value = Number(flags[name]);
  if (value > 0) return value;
  throw new StackError(`--${name} must be a number above zero, not ${flags[name]}.`);
}

function chosenSeed(): number {
  if (flags.seed === undefined) return randomInt(1_000_000);
  const seed = Number(flags.seed);
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new StackError(`--seed must be a whole number, not ${flags.seed}.`);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  if (flags.list) return console.log(FAULT_KINDS.map(({ name }) => name).join('\n'));
  const kinds = FAULT_KINDS.filter(({ name }) => flags.only?.some((text) => name.includes(text)) ?? true);
  if (kinds.length === 0) throw new StackError('No kind of fault has that in its name. See --list.');
  const seed = chosenSeed();
  const options = { minutes: positive('minutes'), rate: positive('rate'), seed, kinds };
  const signal = shutdownSignal();
  const run = `chaos-${randomBytes(3).toString('hex')}`;
  const folder = join(runtimeFolder, 'chaos', run);
  mkdirSync(folder, { recursive: true });
  console.log(
    `seed ${seed}, ${options.minutes} minutes, ${options.rate} transactions/s, ${kinds.length} kinds of faults`,
  );
  const chaos = new Run({ ...options, run, folder, signal, print: (line) => console.log(line) });
  let keep = true;
  const clean = async (): Promise<void> => {
    await chaos.stop();
    if (keep) console.log(`The histories are in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  };
  const withdraw = onShutdown(clean);
  try {
    const figures = await chaos.play();
    if (figures === undefined) return;
    keep = flags.keep || !isClean(figures);
    if (!isClean(figures)) process.exitCode = 1;
    console.log(`\n${renderReport(figures)}`);
  } finally {
    if (!signal.aborted) {
      withdraw();
      await clean();
    }
  }
}

try {
  await main();
} catch (error) {
  // When interrupted, the handler of the signal says so and ends the process.
  if (!shutdownSignal().aborted) {
    process.exitCode = 1;
    console.error(error instanceof StackError ? error.message : error);
  }
}
