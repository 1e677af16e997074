import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ChurningGroup } from './churning-group.js';
import { microseconds } from './member.js';
import { SteadyLoad } from './steady-load.js';

export interface ChurnOptions {
  readonly nameServer: string;
  readonly minutes: number;
  /** Messages per second. */
  readonly rate: number;
  /** Seconds between changes of each group, on average. */
  readonly every: number;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
}

const QUEUES = 8;
const REPORT_EVERY_MS = 10_000;
/** Brokers keep the locks of a dead member for a minute; then the rest has to be handled. */
const CATCH_UP_MS = 180_000;

/** @returns whether every law was kept */
export async function churn(options: ChurnOptions): Promise<boolean> {
  const { nameServer, signal, print } = options;
  const topic = `soak-churn-${randomBytes(4).toString('hex')}`;
  const load = new SteadyLoad(nameServer, topic, options.rate);
  await load.createTopic(QUEUES);
  const groups = (['concurrent', 'orderly'] as const).map(
    (mode) =>
      new ChurningGroup(mode, { nameServer, topic, group: `${topic}-${mode}`, mode, maxHandlerMs: 10 }),
  );
  const begin = performance.now();
  const seconds = (): string => ((performance.now() - begin) / 1000).toFixed(0).padStart(5);
  const lines = setInterval(() => {
    for (const { ledger } of groups) ledger.judge(microseconds());
    print(`${seconds()} s  sent ${load.acknowledged.size}  ${groups.map(progressOf).join('  ')}`);
  }, REPORT_EVERY_MS);
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), options.minutes * 60_000);
  signal.addEventListener('abort', () => enough.abort(), { once: true });
  const over = enough.signal;
  try {
    for (const group of groups) {
      await group.join();
      await group.join();
    }
    await Promise.all([load.run(over), ...groups.map((group) => comeAndGo(group, options.every, over))]);
    print(`${seconds()} s  nobody comes or goes any more; what is left is handled`);
    await caughtUp(groups, load, signal);
  } finally {
    clearInterval(lines);
    clearTimeout(timer);
    enough.abort();
    await Promise.all(groups.map((group) => group.close()));
    await load.close();
  }
  for (const { ledger } of groups) ledger.judgeAll();
  return report(groups, load, print);
}

async function comeAndGo(group: ChurningGroup, every: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const pauseMs = every * 1000 * (0.5 + Math.random());
    await delay(pauseMs, undefined, { signal: over }).catch(() => undefined);
    if (!over.aborted) await group.change();
  }
}

async function caughtUp(
  groups: readonly ChurningGroup[],
  load: SteadyLoad,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + CATCH_UP_MS;
  while (performance.now() < deadline && !signal.aborted) {
    if (groups.every((group) => missing(group, load).length === 0)) return;
    await delay(200);
  }
}

function missing({ ledger }: ChurningGroup, { acknowledged }: SteadyLoad): number[] {
  return [...acknowledged].filter((number) => !ledger.handled.has(number));
}

function progressOf({ name, ledger, members, joined, left, killed }: ChurningGroup): string {
  const wrong = ledger.overlaps + ledger.outOfOrder;
  return (
    `| ${name}: ${ledger.handled.size} handled, ${ledger.again} again, ${members} members ` +
    `(+${joined} -${left} ✝${killed})${wrong > 0 ? ` ${wrong} VIOLATIONS` : ''}`
  );
}

function report(groups: readonly ChurningGroup[], load: SteadyLoad, print: (line: string) => void): boolean {
  let kept = load.acknowledged.size > 0;
  const rows = groups.map((group) => {
    const { name, ledger, joined, left, killed, errors } = group;
    const lost = missing(group, load);
    kept &&= lost.length === 0 && ledger.overlaps === 0 && ledger.outOfOrder === 0;
    for (const example of ledger.examples) print(`VIOLATION ${name}: ${example}`);
    if (lost.length > 0) print(`LOST in ${name}: message ${lost.slice(0, 10).join(', ')}`);
    for (const example of group.errorExamples) print(`error ${example}`);
    const order = name === 'orderly' ? [ledger.overlaps, ledger.outOfOrder] : ['-', '-'];
    return [name, joined, left, killed, ledger.handled.size, ledger.again, errors, lost.length, ...order];
  });
  print('');
  print(
    `acknowledged by the broker: ${load.acknowledged.size} messages; sends that failed: ${load.failures}`,
  );
  print('');
  const head = [
    'group',
    'joined',
    'left',
    'killed',
    'handled',
    'again',
    'errors',
    'LOST',
    'OVERLAPS',
    'DISORDER',
  ];
  for (const row of [head, head.map(() => '---'), ...rows]) print(`| ${row.join(' | ')} |`);
  print('');
  print(kept ? 'Every law was kept.' : 'A law was BROKEN: see above.');
  return kept;
}
