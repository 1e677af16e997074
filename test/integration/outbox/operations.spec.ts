import { describe, expect, it } from 'vitest';
import { SEQUENCE_HEADER } from '../../../lib/outbox/outbox.js';
import { databaseNames } from '../../support/databases.js';
import { AWAY, UNKNOWN_TOPIC } from '../../support/scripted-producer.js';
import { outboxDatabase } from '../../support/outbox-database.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 4;

describe.each(databaseNames())('operating the outbox on %s', (name) => {
  const database = outboxDatabase(name, LANES);
  const { harness, startWithLanes, transaction } = database;

  describe('metrics and health', () => {
    it('count what is pending, parked and owned, without looking at the rows', async () => {
      let away = true;
      const instance = await startWithLanes({
        script: ({ messages }) =>
          messages[0]?.topic === 'missing' ? { fail: UNKNOWN_TOPIC } : away ? { fail: AWAY } : undefined,
        retryMinMs: 60_000,
        retryMaxMs: 60_000,
      });
      await transaction(async (tx) => {
        for (let n = 0; n < 20; n += 1) await instance.outbox.send(tx, 'orders', n);
        await instance.outbox.send(tx, 'missing', 1);
      });
      const snapshot = await waitFor(async () => {
        const current = await instance.metrics.snapshot();
        return current.pending === 20 && current.retrying === 1 && current;
      });
      expect(snapshot.instances).toEqual([instance.relay.instance]);
      expect(snapshot).toMatchObject({ unowned: 0, dead: 0, more: false });
      expect(snapshot.oldestAgeMs).toBeGreaterThanOrEqual(0);
      expect(snapshot.lanes).toHaveLength(LANES);
      expect(snapshot.lanes.every(({ owner }) => owner === instance.relay.instance)).toBe(true);
      expect(snapshot.local).toMatchObject({ rows: 20, lanes: instance.relay.ownedLanes });
      expect(instance.metrics.local).toMatchObject({ rows: 20, lanes: instance.relay.ownedLanes });
      away = false;
      await waitFor(async () => (await instance.metrics.snapshot()).pending === 0);
    });

    it('read no table that holds payloads', async () => {
      const instance = await startWithLanes();
      await instance.relay.drain(2_000); // its own statements would be among those seen
      const statements: string[] = [];
      const watcher = { beforeQuery: ({ query }: { query: string }) => void statements.push(query) };
      const { subscribers } = database.dataSource;
      subscribers.push(watcher);
      try {
        await instance.metrics.snapshot();
        await instance.metrics.health();
      } finally {
        subscribers.splice(subscribers.indexOf(watcher), 1);
      }
      expect(statements.length).toBeGreaterThanOrEqual(4);
      expect(
        statements.filter((query) => /\b(FROM|JOIN)\s+rmq_outbox(_parked|_sent)?\b/i.test(query)),
      ).toEqual([]);
    });

    it('come as events too: every request with its messages, every statement that removed rows', async () => {
      const { outbox, settled, seen } = await startWithLanes({ batchSize: 32 });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 200 }, (_, n) => ({ destination: 'orders', payload: n })),
        ),
      );
      await settled();
      const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
      await waitFor(() => sum(seen['outbox.settled'].map(({ count }) => count)) === 200);
      const requests = seen['outbox.dispatched'];
      expect(sum(requests.map(({ count }) => count))).toBe(200);
      expect(Math.max(...requests.map(({ count }) => count))).toBe(32);
      for (const { topic, connection, count, agesMs, sendMs } of requests) {
        expect({ topic, connection, ages: agesMs.length }).toEqual({
          topic: 'orders',
          connection: undefined,
          ages: count,
        });
        for (const age of agesMs) expect(age).toBeGreaterThanOrEqual(sendMs);
      }
      expect(sum(seen['outbox.settled'].map(({ stale }) => stale))).toBe(0);
    });

    it('are down when rows wait longer than the objective, and up again when they are gone', async () => {
      let away = true;
      const instance = await startWithLanes({
        script: () => (away ? { fail: AWAY } : undefined),
        maxPendingAgeMs: 200,
      });
      expect((await instance.metrics.health()).status).toBe('up');
      await transaction((tx) => instance.outbox.send(tx, 'orders', 1));
      const down = await waitFor(async () => {
        const health = await instance.metrics.health();
        return health.status === 'down' && health;
      });
      expect(down.reason).toContain('oldest pending row');
      away = false;
      await waitFor(async () => (await instance.metrics.health()).status === 'up');
    });

    it('are down when lanes have had no owner for two leases', async () => {
      const writer = harness.create(database.dataSource, {
        relay: false,
        leaseMs: 1_200,
        renewMs: 100,
        sendTimeoutMs: 50,
      });
      const down = await waitFor(async () => {
        const health = await writer.metrics.health();
        return health.status === 'down' && health;
      });
      expect(down.reason).toContain(`${LANES} lane(s) have had no owner`);
    });
  });

  describe('history', () => {
    it('keeps a record of what was sent when it is switched on, and sweeps it', async () => {
      const instance = await startWithLanes({ history: { retentionMs: 1_500 } });
      const { messageId } = await transaction((tx) =>
        instance.outbox.send(tx, 'orders:created', { n: 1 }, { keys: ['a', 'b'], orderingKey: 'k' }),
      );
      await instance.settled();
      const sent = await database.dataSource.query<Record<string, unknown>[]>(
        'SELECT * FROM rmq_outbox_sent',
      );
      expect(sent).toHaveLength(1);
      expect(sent[0]).toMatchObject({
        topic: 'orders',
        tag: 'created',
        ordering_key: 'k',
        message_keys: 'a b',
      });
      const id = sent[0]?.['message_id'];
      const text = typeof id === 'string' ? id : Buffer.from(id as ArrayBuffer).toString('hex');
      expect(text.replaceAll('-', '').toUpperCase()).toBe(messageId);
      await waitFor(
        async () =>
          (await database.dataSource.query<unknown[]>('SELECT 1 FROM rmq_outbox_sent')).length === 0,
        { timeoutMs: 30_000 },
      );
    });

    it('keeps none by default', async () => {
      const instance = await startWithLanes();
      await transaction((tx) => instance.outbox.send(tx, 'orders', 1));
      await instance.settled();
      expect(await database.dataSource.query<unknown[]>('SELECT 1 FROM rmq_outbox_sent')).toEqual([]);
    });
  });

  describe('strict order', () => {
    it('numbers the messages of a key without gaps, over transactions that overlap', async () => {
      const instance = await startWithLanes({ ordering: 'strict' });
      const write = (n: number) =>
        transaction(async (tx) => {
          await instance.outbox.sendAll(tx, [
            { destination: 'orders', payload: n, options: { orderingKey: 'a' } },
            { destination: 'orders', payload: n, options: { orderingKey: 'b' } },
            { destination: 'orders', payload: n, options: { orderingKey: 'a' } },
            { destination: 'orders', payload: n },
          ]);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
        });
      if (name === 'sqlite') for (let n = 0; n < 10; n += 1) await write(n);
      else await Promise.all(Array.from({ length: 10 }, (_, n) => write(n)));
      await instance.settled();
      const numbers = (key: string) =>
        instance.producer.stored
          .filter(({ orderingKey }) => orderingKey === key)
          .map(({ headers }) => Number(headers?.[SEQUENCE_HEADER]));
      expect(numbers('a')).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
      expect(numbers('b')).toEqual(Array.from({ length: 10 }, (_, n) => n + 1));
    });

    it('makes transactions on one key follow each other, so that the order sent is the order committed', async () => {
      if (name === 'sqlite') return; // transactions follow each other anyway
      const instance = await startWithLanes({ ordering: 'strict' });
      const committed: number[] = [];
      await Promise.all(
        Array.from({ length: 12 }, async (_, n) => {
          await transaction(async (tx) => {
            await instance.outbox.send(tx, 'orders', n, { orderingKey: 'k' });
            await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
            committed.push(n); // nobody else holds the key now
          });
        }),
      );
      await instance.settled();
      expect(instance.producer.bodies.map(Number)).toEqual(committed);
    });
  });

  describe('context', () => {
    it('goes with the message: headers of the caller’s context, below those of the call', async () => {
      const { createOutbox } = await import('../../../lib/outbox/create-outbox.js');
      const { RocketMQEvents } = await import('../../../lib/observability/rocketmq-events.js');
      const { outbox } = createOutbox({
        dataSource: database.dataSource,
        producer: harness.create(database.dataSource).producer,
        events: new RocketMQEvents(),
        contextHeaders: () => ({ traceparent: '00-a-b-01', tenant: 'context' }),
      });
      await transaction((tx) => outbox.send(tx, 'orders', 1, { headers: { tenant: 'call' } }));
      const { producer, settled } = await startWithLanes();
      await settled();
      expect(producer.stored[0]?.headers).toEqual({ traceparent: '00-a-b-01', tenant: 'call' });
    });
  });

  describe('a producer per connection', () => {
    it('is asked for by the name in the row', async () => {
      const writer = harness.create(database.dataSource, { relay: false });
      const instance = await startWithLanes();
      await transaction((tx) => writer.outbox.send(tx, 'orders', 1, { connection: 'audit' }));
      // The sending outbox has one producer only: the row is put aside with the reason.
      const [parked] = await waitFor(async () => {
        const { items } = await instance.parked.list();
        return items.length === 1 && items;
      });
      expect(parked).toMatchObject({ connection: 'audit', state: 'dead' });
      expect(parked?.error).toContain('names connection "audit"');
      const refused = transaction((tx) => instance.outbox.send(tx, 'orders', 1, { connection: 'audit' }));
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });
  });
});
