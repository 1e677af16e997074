/**
 * The official Node client under the same load, one command per line on stdin:
 *
 * send TOPIC IN_FLIGHT MILLIS SIZE | consume TOPIC GROUP MESSAGES
 *
 * Its producer needs its topic at the start, so each command has one of its own.
 */
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { keepInFlight, timed, type Round } from '../measure.js';

interface Startable {
  startup(): Promise<void>;
  shutdown(): Promise<void>;
}

interface OfficialClient {
  readonly Producer: new (options: object) => Startable & { send(message: object): Promise<unknown> };
  readonly PushConsumer: new (options: object) => Startable;
  readonly ConsumeResult: { readonly SUCCESS: unknown };
}

const [folder = '', endpoints = ''] = process.argv.slice(2);
// It writes its logs into the home folder.
process.env['HOME'] = mkdtempSync(join(tmpdir(), 'rocketmq-bench-'));
const client = createRequire(join(folder, 'package.json'))('rocketmq-client-nodejs') as OfficialClient;

async function send(topic: string, inFlight: number, millis: number, size: number): Promise<Round> {
  const producer = new client.Producer({ endpoints, namespace: '', topics: [topic] });
  await producer.startup();
  const body = Buffer.alloc(size, 'x');
  try {
    return await timed(() => keepInFlight(inFlight, millis, () => producer.send({ topic, body })));
  } finally {
    void producer.shutdown().catch(() => undefined);
  }
}

async function consume(topic: string, group: string, messages: number): Promise<Round> {
  let seen = 0;
  let started = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const consumer = new client.PushConsumer({
    endpoints,
    namespace: '',
    consumerGroup: group,
    subscriptions: new Map([[topic, '*']]),
    messageListener: {
      consume: () => {
        started ||= performance.now();
        if (++seen === messages) done();
        return Promise.resolve(client.ConsumeResult.SUCCESS);
      },
    },
  });
  const round = await timed(async () => {
    await consumer.startup();
    const timer = setTimeout(done, 60_000);
    await finished;
    clearTimeout(timer);
    return seen;
  });
  void consumer.shutdown().catch(() => undefined);
  return { ...round, elapsedMs: performance.now() - started };
}

// What its background work throws after a shutdown must not end the run.
process.on('unhandledRejection', (error) => console.error(error));
process.on('uncaughtException', (error) => console.error(error));

console.log('RESULT ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, topic = '', ...rest] = line.split(' ');
  const [a = 0, b = 0, c = 0] = rest.map(Number);
  try {
    const round = command === 'send' ? await send(topic, a, b, c) : await consume(topic, rest[0] ?? '', b);
    console.log(`RESULT ${round.operations} ${round.elapsedMs} ${round.cpuMs}`);
  } catch (error) {
    console.log(`ERROR ${String(error).replaceAll('\n', ' ')}`);
  }
}
