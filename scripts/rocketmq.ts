/**
 * A real RocketMQ on this machine, by hand: `npm run rocketmq -- --help`.
 */
import { parseArgs } from 'node:util';
import { download } from './stack/artifacts.js';
import { stopDockerStack } from './stack/docker-stack.js';
import { writeLock } from './stack/lock-file.js';
import { followLogs } from './stack/logs.js';
import { releaseOf, RELEASES } from './stack/releases.js';
import { onShutdown, shutdownSignal } from './stack/shutdown.js';
import { openStack, StackError, startStack, type Stack } from './stack/stack.js';
import { parseTopic, type TopicSpec } from './stack/topic-spec.js';
import { isInUse, knownStacks, livingParts } from './stack/stack-state.js';

const HELP = `A real RocketMQ on this machine, from the artifacts of Maven Central.

  npm run rocketmq -- start    start it, wait until it can be used, leave it running
  npm run rocketmq -- stop     stop it
  npm run rocketmq -- status   what runs where
  npm run rocketmq -- logs     show the logs   [part]  --follow  --lines N
  npm run rocketmq -- topics   create topics, or change them   NAME[:TYPE[:QUEUES]] ...
  npm run rocketmq -- lock     download a release again and write its lock file

Options
  --name NAME            several can run side by side                       (dev)
  --release VERSION      ${RELEASES.map((release) => release.version).join(', ')}                     (ROCKETMQ_VERSION, else 5.5.0)
  --proxy                start the gRPC proxy too (5.x)
  --cluster              two masters and a slave of the first
  --replication MODE     with --cluster: async or sync                      (async)
  --name-server-port N   these ports and no others; otherwise the usual ones
  --broker-port N        when they are free, else free ones
  --proxy-port N
  --topic NAME[:TYPE[:QUEUES]]   start: create this topic; may be repeated. Types: NORMAL (default),
                         FIFO, DELAY, TRANSACTION, MIXED. Others are created when first used.
  --keep-data            start: with the data of last time, and keep it when it stops
                         stop: keep it, and take the time for an orderly stop
  --foreground           start: stay until Ctrl-C, then stop it
  --all                  stop: every stack of this project
  --docker               start, stop: with docker-compose.yml; start does so by itself when Java
                         or Maven are missing and a Docker engine answers

Data, logs and state are in .rocketmq/NAME/ of the project. Downloads are kept in ROCKETMQ_CACHE,
XDG_CACHE_HOME/nestjs-rocketmq or ~/.cache/nestjs-rocketmq, and checked against a lock file before every use.`;

const OPTIONS = {
  name: { type: 'string', default: 'dev' },
  release: { type: 'string' },
  proxy: { type: 'boolean', default: false },
  cluster: { type: 'boolean', default: false },
  replication: { type: 'string' },
  'name-server-port': { type: 'string' },
  'broker-port': { type: 'string' },
  'proxy-port': { type: 'string' },
  topic: { type: 'string', multiple: true },
  'keep-data': { type: 'boolean', default: false },
  foreground: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
  docker: { type: 'boolean', default: false },
  follow: { type: 'boolean', short: 'f', default: false },
  lines: { type: 'string', default: '40' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new StackError(`${(error as Error).message.split('\n')[0] ?? ''}\nSee npm run rocketmq -- --help`);
  }
}

type Flags = ReturnType<typeof readArguments>['values'];

const number = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text);

/** Leaves out what was not said, so that defaults stay defaults. */
function present<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function replicationOf(flags: Flags): 'async' | 'sync' | undefined {
  const { replication } = flags;
  if (replication === undefined || replication === 'async' || replication === 'sync') return replication;
  throw new StackError(`--replication is async or sync, not ${replication}.`);
}

function describe(stack: Stack): void {
  const width = Math.max(...stack.parts.map((part) => part.name.length));
  for (const part of stack.parts) {
    const state = part.running ? `process ${part.pid}` : 'NOT RUNNING';
    console.log(`  ${part.name.padEnd(width)}  ${part.address.padEnd(16)} ${state}`);
  }
  console.log(`  folder: ${stack.folder}`);
}

/** The library is loaded for this alone: a defect in it must not keep anybody from stopping a stack. */
async function createTopics(nameServer: string, topics: readonly TopicSpec[], indent: string): Promise<void> {
  const library = await import('./stack/create-topics.js');
  await library.createTopics(nameServer, topics, (line) => console.log(`${indent}${line}`));
}

async function start(flags: Flags): Promise<void> {
  if (process.env.ROCKETMQ_NAME_SERVER) {
    console.log(
      `Note: ROCKETMQ_NAME_SERVER=${process.env.ROCKETMQ_NAME_SERVER} names a cluster; demo and tests use that one.`,
    );
  }
  const topics = (flags.topic ?? []).map(parseTopic);
  const begin = performance.now();
  const starting = startStack({
    ...present({
      release: flags.release,
      replication: replicationOf(flags),
      nameServerPort: number(flags['name-server-port']),
      brokerPort: number(flags['broker-port']),
      proxyPort: number(flags['proxy-port']),
    }),
    name: flags.name,
    proxy: flags.proxy,
    cluster: flags.cluster,
    keepData: flags['keep-data'],
    docker: flags.docker,
    signal: shutdownSignal(),
    onProgress: (line) => console.log(`  ${line}`),
  });
  const withdraw = onShutdown(async () => (await starting.catch(() => undefined))?.stop());
  const stack = await starting;
  try {
    if (topics.length > 0) await createTopics(stack.nameServer, topics, '  ');
  } catch (error) {
    await stack.stop();
    throw error;
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`RocketMQ ${stack.release} is running (${seconds} s).`);
  if (stack.parts.length > 0) describe(stack);
  console.log(`\n  export ROCKETMQ_NAME_SERVER='${stack.nameServer}'`);
  if (stack.endpoints) console.log(`  export ROCKETMQ_ENDPOINTS='${stack.endpoints}'`);
  if (flags.foreground) {
    console.log('\nCtrl-C stops it.');
    setInterval(() => {}, 60_000);
    return;
  }
  withdraw();
  await stack.leaveRunning();
  const suffix = `${flags.name === 'dev' ? '' : ` --name ${flags.name}`}${stack.parts.length === 0 ? ' --docker' : ''}`;
  console.log(`\nStop it with: npm run rocketmq -- stop${suffix}`);
}

async function stop(flags: Flags): Promise<void> {
  if (flags.docker) return stopDockerStack(flags.name);
  const states = await knownStacks();
  const names = flags.all ? states.map((state) => state.name) : [flags.name];
  for (const name of names) {
    const stack = await openStack(name);
    if (!stack) {
      console.log(`There is no stack '${name}'.`);
      continue;
    }
    const begin = performance.now();
    await stack.stop(flags['keep-data'] ? { keepData: true } : {});
    console.log(`Stack '${name}' is stopped (${((performance.now() - begin) / 1000).toFixed(1)} s).`);
  }
  if (names.length === 0) console.log('There is no stack.');
}

async function status(): Promise<void> {
  const states = await knownStacks();
  if (states.length === 0) console.log('No stack runs. Start one with: npm run rocketmq -- start');
  for (const state of states) {
    const living = livingParts(state).length;
    const total = state.plan.parts.length;
    const words = living === total ? 'running' : isInUse(state) ? `${living} of ${total} parts run` : 'dead';
    const release = state.plan.release.version;
    console.log(`${state.name}: RocketMQ ${release}, ${words}, name server ${state.plan.nameServer}`);
    const stack = await openStack(state.name);
    if (stack) describe(stack);
    if (living < total) process.exitCode = 1;
  }
}

async function logs(flags: Flags, partName: string | undefined): Promise<void> {
  const stack = await openStack(flags.name);
  if (!stack)
    throw new StackError(`There is no stack '${flags.name}'. npm run rocketmq -- status lists them.`);
  const parts = partName === undefined ? stack.parts : [stack.part(partName)];
  await followLogs(parts, { lines: Number(flags.lines), follow: flags.follow, signal: shutdownSignal() });
}

async function topics(flags: Flags, texts: readonly string[]): Promise<void> {
  const specs = [...texts, ...(flags.topic ?? [])].map(parseTopic);
  if (specs.length === 0)
    throw new StackError('Name at least one topic: NAME, NAME:TYPE or NAME:TYPE:QUEUES.');
  const stack = await openStack(flags.name);
  const nameServer = stack?.nameServer ?? process.env.ROCKETMQ_NAME_SERVER;
  if (!nameServer) {
    throw new StackError(`There is no stack '${flags.name}', and ROCKETMQ_NAME_SERVER is not set either.`);
  }
  await createTopics(nameServer, specs, '');
}

async function lock(flags: Flags): Promise<void> {
  const releases = flags.release === undefined ? RELEASES : [releaseOf(flags.release)];
  for (const release of releases) {
    const folder = await download(release, (line) => console.log(line), { fresh: true });
    const { files } = await writeLock(release, folder);
    console.log(
      `scripts/stack/locks/${release.version}.json: ${Object.keys(files).length} files. Review the change.`,
    );
  }
}

async function main(): Promise<void> {
  const { values: flags, positionals } = readArguments();
  const [command, argument, ...more] = positionals;
  if (flags.help || command === undefined) return console.log(HELP);
  if (command === 'start') return start(flags);
  if (command === 'stop') return stop(flags);
  if (command === 'status') return status();
  if (command === 'logs') return logs(flags, argument);
  if (command === 'topics') return topics(flags, argument === undefined ? [] : [argument, ...more]);
  if (command === 'lock') return lock(flags);
  throw new StackError(`There is no command '${command}'. See npm run rocketmq -- --help`);
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
