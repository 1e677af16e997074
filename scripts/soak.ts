/**
 * Long runs that look for what short tests cannot show.
 */
import { parseArgs } from 'node:util';
import { churn } from './soak/churn.js';
import { memory } from './soak/memory.js';
import { onShutdown, shutdownSignal } from './stack/shutdown.js';
import { StackError, startStack, type Stack } from './stack/stack.js';

const HELP = `npm run soak -- churn|memory [--minutes 10] [--rate 300] [--every 4]

  churn   a concurrent and an orderly group under load, whose members join, leave and are killed (SIGKILL) every few
          seconds. Ends with a table, and with an error unless every acknowledged message was handled in both groups
          and the orderly one never had two handlers in a queue, nor left a message out.
  memory  a producer and a consumer in this process at a steady rate. Ends with an error when it needs more memory in
          the end than after the warm-up.

  --minutes   how long
  --rate      messages per second; memory: half of what the machine carries, unless given
  --every     seconds between changes of each group, on average

ROCKETMQ_NAME_SERVER names a cluster to use; otherwise one is started and thrown away.`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string' },
    every: { type: 'string', default: '4' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const DEFAULT_RATE = 300;

function positive(name: 'minutes' | 'rate' | 'every'): number {
  const value = Number(flags[name] ?? DEFAULT_RATE);
  if (value > 0) return value;
  throw new StackError(`--${name} must be a number above zero, not ${flags[name]}.`);
}

async function main(): Promise<void> {
  const [command] = positionals;
  if (flags.help || command === undefined) return console.log(HELP);
  if (command !== 'churn' && command !== 'memory')
    throw new StackError(`There is no soak '${command}'. See npm run soak -- --help`);
  const options = { minutes: positive('minutes'), rate: positive('rate'), every: positive('every') };
  const rate = flags.rate === undefined ? undefined : options.rate;
  const signal = shutdownSignal();
  let stack: Stack | undefined;
  const starting = async (): Promise<string> => {
    stack = await startStack({
      name: `soak-${process.pid}`,
      signal,
      onProgress: (line) => console.log(`  ${line}`),
    });
    return stack.nameServer;
  };
  onShutdown(async () => stack?.stop());
  try {
    const nameServer = process.env['ROCKETMQ_NAME_SERVER'] ?? (await starting());
    const print = (line: string): void => console.log(line);
    const kept =
      command === 'churn'
        ? await churn({ ...options, nameServer, signal, print })
        : await memory({ ...options, rate, nameServer, signal, print });
    if (!kept) process.exitCode = 1;
  } finally {
    await stack?.stop();
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
