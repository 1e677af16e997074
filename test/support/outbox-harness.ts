import type { DataSource } from 'typeorm';
import type { Clock } from '../../lib/client/clock.js';
import { createOutbox, type OutboxFeature } from '../../lib/outbox/create-outbox.js';
import type { OutboxOptions } from '../../lib/outbox/outbox-options.js';
import type { OutboxStore } from '../../lib/outbox/outbox-store.js';
import { RocketMQEvents, type RocketMQEventMap } from '../../lib/observability/rocketmq-events.js';
import type { Producer } from '../../lib/client/producer.js';
import { ScriptedProducer, type Script } from './scripted-producer.js';
import { waitFor } from './wait-for.js';

/** Quick enough for tests, with the same proportions as the defaults. */
export const QUICK: OutboxOptions = {
  leaseMs: 2_400,
  renewMs: 400,
  surveyMs: 100,
  sendTimeoutMs: 500,
  pollMinMs: 10,
  pollMaxMs: 50,
  sweepMs: 100,
  parkedScanMs: 50,
  backoffMinMs: 10,
  backoffMaxMs: 100,
  retryMinMs: 50,
  retryMaxMs: 200,
};

type OutboxEventName = Extract<keyof RocketMQEventMap, `outbox.${string}`>;

/** One application with an outbox, on a scripted producer. */
export interface OutboxInstance extends OutboxFeature {
  readonly producer: ScriptedProducer;
  readonly events: RocketMQEvents;
  readonly seen: { [N in OutboxEventName]: RocketMQEventMap[N][] };
  /** Rows pending in the table. */
  pending(): Promise<number>;
  /** Resolves when nothing is pending any more. */
  settled(): Promise<void>;
}

export interface InstanceOptions extends OutboxOptions {
  readonly script?: Script;
  readonly producer?: Producer;
  readonly clock?: Clock;
  readonly store?: OutboxStore;
}

/** Starts instances and stops them all after each test. */
export class OutboxHarness {
  private readonly instances: OutboxInstance[] = [];

  async start(dataSource: DataSource, options: InstanceOptions = {}): Promise<OutboxInstance> {
    const instance = this.create(dataSource, options);
    await instance.check();
    await instance.relay.start();
    return instance;
  }

  /** Starts an instance and waits until it holds so many lanes. */
  async startWithLanes(
    dataSource: DataSource,
    lanes: number,
    options: InstanceOptions = {},
  ): Promise<OutboxInstance> {
    const instance = await this.start(dataSource, options);
    await waitFor(() => instance.relay.ownedLanes.length === lanes, { describe: `${lanes} lanes` });
    return instance;
  }

  create(dataSource: DataSource, options: InstanceOptions = {}): OutboxInstance {
    const { script, producer: given, clock, store, ...outboxOptions } = options;
    const producer = new ScriptedProducer(script);
    const events = new RocketMQEvents();
    const seen = {} as OutboxInstance['seen'];
    for (const name of [
      'outbox.lanes',
      'outbox.dispatched',
      'outbox.settled',
      'outbox.backoff',
      'outbox.parked',
      'outbox.replayed',
      'outbox.discarded',
      'outbox.error',
    ] as const) {
      const list: unknown[] = [];
      (seen as Record<string, unknown[]>)[name] = list;
      events.on(name, (event) => list.push(event));
    }
    const feature = createOutbox({
      dataSource,
      producer: given ?? producer,
      events,
      ...(clock && { clock }),
      ...(store && { store }),
      options: { ...QUICK, ...outboxOptions },
    });
    const pending = async (): Promise<number> => {
      const [row] = await dataSource.query<{ n: unknown }[]>('SELECT count(*) AS n FROM rmq_outbox');
      return Number(row?.n);
    };
    const instance: OutboxInstance = {
      ...feature,
      producer,
      events,
      seen,
      pending,
      settled: async () => {
        await waitFor(async () => (await pending()) === 0, { describe: 'an empty outbox' });
      },
    };
    this.instances.push(instance);
    return instance;
  }

  /** Stops every instance; the lanes are free then. */
  async stop(): Promise<void> {
    await Promise.all(this.instances.splice(0).map(({ relay }) => relay.drain(2_000)));
  }
}

/** Leaves nothing of the test before. */
export async function emptyOutbox(dataSource: DataSource): Promise<void> {
  for (const table of ['outbox', 'outbox_parked', 'outbox_sent', 'outbox_sequence', 'outbox_instance']) {
    await dataSource.query(`DELETE FROM rmq_${table}`);
  }
  const past = dataSource.options.type === 'better-sqlite3' ? '0' : "'1970-01-02 00:00:00'";
  await dataSource.query(
    `UPDATE rmq_outbox_lane SET owner = NULL, epoch = epoch + 1, expires_at = ${past}, pending = 0, retrying = 0, dead = 0, oldest_at = NULL`,
  );
}
