import { createRocketMQClient } from '../lib/client/client-factory.js';
import type { RocketMQClient } from '../lib/client/rocketmq-client.js';
import { startStack } from '../scripts/stack/stack.js';
import { openDatabases, type BenchDatabase } from './databases.js';
import { loadPerCore, machineOf } from './machine.js';
import type { Plan } from './measure.js';
import { startJavaClient } from './peers/java-bench.js';
import { startNodeClient } from './peers/node-client.js';
import type { PeerProcess } from './peers/peer-process.js';
import type { RoundProfiler } from './profile.js';
import type { Area } from './report.js';
import type { RunRecord } from './run-record.js';

export interface Broker {
  readonly nameServer: string;
  /** `host:port` of the broker, for clients that do without routes. */
  readonly address: string;
  /** Of the proxy, where there is one. */
  readonly endpoints: string | undefined;
  /** Ours. */
  readonly client: RocketMQClient;
  /** A topic of its own for one measurement. */
  topic(queues?: number): Promise<string>;
}

/** What every area gets. Things are started when an area asks for them, and stopped at the end of the run. */
export class BenchContext {
  private readonly closers: (() => unknown)[] = [];
  private readonly started = new Map<string, Promise<unknown>>();

  constructor(
    readonly plan: Plan,
    readonly progress: (line: string) => void,
    private readonly record: RunRecord,
    private readonly profiler?: RoundProfiler,
  ) {}

  /**
   * A piece of the run that is measured as a whole, or was before the run was interrupted.
   *
   * @param name begins with the name of the area
   */
  async part(name: string, measure: () => Promise<Area | readonly Area[]>): Promise<readonly Area[]> {
    return this.record.part(name, async () => {
      const measured = await measure();
      this.profiler?.write(name, machineOf(loadPerCore()));
      return Array.isArray(measured) ? (measured as readonly Area[]) : [measured as Area];
    });
  }

  /** ROCKETMQ_NAME_SERVER (and ROCKETMQ_ENDPOINTS for the proxy), or a RocketMQ of our own. */
  broker(): Promise<Broker> {
    return this.once('broker', () => this.openBroker());
  }

  java(): Promise<PeerProcess> {
    return this.once('java', async () =>
      startJavaClient((await this.broker()).nameServer, (close) => this.defer(close)),
    );
  }

  /** The official Node client through the proxy, or why it is not here. */
  nodeClient(): Promise<PeerProcess | string> {
    return this.once('node client', async () => {
      const { endpoints } = await this.broker();
      if (endpoints === undefined) return 'no proxy: set ROCKETMQ_ENDPOINTS';
      this.progress('the official Node client is installed');
      return startNodeClient(endpoints, (close) => this.defer(close)).catch((error: unknown) => {
        this.progress(String(error));
        return 'could not be installed or started';
      });
    });
  }

  /** PostgreSQL (DATABASE_URL, or one of our own), MariaDB where there is one, SQLite. */
  databases(): Promise<readonly BenchDatabase[]> {
    return this.once('databases', () =>
      openDatabases(
        (close) => this.defer(close),
        (line) => this.progress(line),
      ),
    );
  }

  /** Runs at the end, the last one first. */
  defer(close: () => unknown): void {
    this.closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.closers.splice(0).toReversed()) await close();
  }

  private once<T>(name: string, start: () => Promise<T>): Promise<T> {
    const known = this.started.get(name) ?? start();
    this.started.set(name, known);
    return known as Promise<T>;
  }

  private async openBroker(): Promise<Broker> {
    let nameServer = process.env['ROCKETMQ_NAME_SERVER'];
    let endpoints = process.env['ROCKETMQ_ENDPOINTS'];
    if (nameServer === undefined) {
      const stack = await startStack({
        name: 'bench',
        performance: true,
        proxy: true,
        onProgress: (line) => this.progress(line),
      });
      this.defer(() => stack.stop());
      ({ nameServer, endpoints } = stack);
    }
    const client = createRocketMQClient({ nameServer });
    await client.start();
    this.defer(() => client.close());
    const address = (await client.admin.brokers())[0]?.addresses.get(0) ?? '';
    let topics = 0;
    const topic = async (queues = 4): Promise<string> => {
      const name = `bench-${process.pid}-${++topics}`;
      await client.admin.createTopic(name, { queues });
      return name;
    };
    return { nameServer, address, endpoints, client, topic };
  }
}
