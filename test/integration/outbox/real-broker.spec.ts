import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { Producer } from '../../../lib/client/producer.js';
import type { RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import { nameServer } from '../../support/broker.js';
import { createDatabase, postgresUrl, type TestDatabase } from '../../support/databases.js';
import { DoomedProcess, type DoomedTask } from '../../support/doomed-process.js';
import { uniqueName } from '../../support/names.js';
import { emptyOutbox, OutboxHarness } from '../../support/outbox-harness.js';
import { TopicReader } from '../../support/stored-messages.js';
import { brokerThroughProxy } from '../../support/tcp-proxy.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 8;

describe('outbox with a real broker', () => {
  let database: TestDatabase;
  let client: RocketMQClient;
  let producer: Producer;
  let reader: TopicReader;
  const harness = new OutboxHarness();
  const doomed: DoomedProcess[] = [];

  beforeAll(async () => {
    database = await createDatabase('postgres', { lanes: LANES });
    client = createRocketMQClient({ nameServer: nameServer() });
    await client.start();
    producer = client.createProducer({ group: uniqueName('outbox') });
    await producer.start();
    reader = new TopicReader(nameServer());
  });
  afterEach(async () => {
    await Promise.all(doomed.splice(0).map((each) => each.kill()));
    await harness.stop();
    await emptyOutbox(database.dataSource);
  });
  afterAll(async () => {
    await client.close();
    await reader.close();
    await database.drop();
  });

  const newTopic = async (): Promise<string> => {
    const topic = uniqueName('outbox');
    await client.admin.createTopic(topic);
    return topic;
  };
  const stored = async (topic: string) =>
    (await reader.read(topic)).toSorted((a, b) => a.storeTimestamp - b.storeTimestamp);
  const start = (through: Producer = producer) =>
    harness.startWithLanes(database.dataSource, LANES, { producer: through });
  const startDoomed = (what: DoomedTask['what'], topic: string): DoomedProcess => {
    const url = new URL(postgresUrl());
    url.pathname = `/${(database.dataSource.options as { url?: string }).url?.split('/').pop() ?? ''}`;
    const child = DoomedProcess.start({
      what,
      topic,
      group: uniqueName('doomed'),
      databaseUrl: url.toString(),
      nameServer: nameServer(),
    });
    doomed.push(child);
    return child;
  };

  it('delivers what was committed, under the id the caller got, and nothing that was rolled back', async () => {
    const topic = await newTopic();
    const { outbox, settled } = await start();
    const ids: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      await database.dataSource
        .transaction(async (tx) => {
          const { messageId } = await outbox.send(
            tx,
            `${topic}:created`,
            { n },
            { keys: `o-${n}`, ...(n % 2 && { orderingKey: `k${n % 5}` }) },
          );
          if (n % 3 === 0) throw new Error('rolled back');
          ids.push(messageId);
        })
        .catch(() => undefined);
    }
    await settled();
    const messages = await stored(topic);
    expect(messages.map(({ properties }) => properties['UNIQ_KEY']).toSorted()).toEqual(ids.toSorted());
    expect(messages[0]?.properties).toMatchObject({ TAGS: 'created' });
  });

  it('keeps rows while the broker is away, and sends them when it is back', async () => {
    const topic = await newTopic();
    const [broker] = await client.admin.brokers();
    const proxied = await brokerThroughProxy(
      nameServer().split(/[;,]/)[0] ?? '',
      broker?.addresses.get(0) ?? '',
    );
    const behindProxy = createRocketMQClient({ nameServer: proxied.nameServer });
    await behindProxy.start();
    const through = behindProxy.createProducer({ group: uniqueName('outbox'), sendTimeoutMs: 500 });
    await through.start();
    try {
      const { outbox, seen, pending, settled } = await start(through);
      await proxied.broker.refuse();
      proxied.broker.cut();
      await database.dataSource.transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 100 }, (_, n) => ({
            destination: topic,
            payload: n,
            options: n % 2 ? { orderingKey: `k${n % 4}` } : {},
          })),
        ),
      );
      await waitFor(() => seen['outbox.backoff'].length > 3);
      expect(await pending()).toBe(100);
      await proxied.broker.accept();
      await settled();
      const bodies = (await stored(topic)).map(({ body }) => Number(body));
      expect(new Set(bodies)).toEqual(new Set(Array.from({ length: 100 }, (_, n) => n)));
      expect(seen['outbox.parked']).toEqual([]);
      await harness.stop();
    } finally {
      await behindProxy.close();
      await proxied.close();
    }
  });

  it('sends what a process committed that was killed before it could send', async () => {
    const topic = await newTopic();
    const child = startDoomed('commit and never send', topic);
    await child.said('committed');
    await child.kill();
    expect(await reader.read(topic)).toEqual([]);
    const { settled } = await harness.start(database.dataSource, { producer });
    await settled();
    const messages = await stored(topic);
    expect(messages.map(({ body }) => Number(body)).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    );
    const keyed = messages
      .filter(({ properties }) => properties['__SHARDINGKEY'] === 'k')
      .map(({ body }) => Number(body));
    expect(keyed).toEqual(keyed.toSorted((a, b) => a - b));
  });

  it('loses nothing and keeps the order of keys when a process is killed in the middle of a backlog', async () => {
    const topic = await newTopic();
    const writer = harness.create(database.dataSource, { relay: false });
    const total = 4_000;
    await database.dataSource.transaction((tx) =>
      writer.outbox.sendAll(
        tx,
        Array.from({ length: total }, (_, n) => ({
          destination: topic,
          payload: n,
          options: n % 2 ? { orderingKey: `k${n % 20}` } : {},
        })),
      ),
    );
    const child = startDoomed('send the backlog', topic);
    await child.said('running');
    await waitFor(async () => (await writer.pending()) < total - 200, { intervalMs: 2 });
    await child.kill();
    const left = await writer.pending();
    const { settled } = await harness.start(database.dataSource, { producer });
    await settled();
    const messages = await reader.read(topic);
    const ids = new Set(messages.map(({ properties }) => properties['UNIQ_KEY']));
    expect(ids.size).toBe(total);
    // At most what was in flight, and what was not removed yet.
    if (left > 0) expect(messages.length - total).toBeLessThanOrEqual(4 * 128 + 64 + 512);
    // Within a queue the offset is the order; all messages of a key are in one queue.
    const seen = new Set<string>();
    const last = new Map<string, number>();
    for (const { properties, body } of messages) {
      const key = properties['__SHARDINGKEY'];
      const id = properties['UNIQ_KEY'] ?? '';
      if (key === undefined || seen.has(id)) continue;
      seen.add(id);
      expect(Number(body)).toBeGreaterThan(last.get(key) ?? -1);
      last.set(key, Number(body));
    }
  });
});
