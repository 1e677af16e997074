import { describe, expect, it } from 'vitest';
import type { EntityManager } from 'typeorm';
import { createOutboxStore } from '../../../lib/outbox/create-outbox.js';
import { laneOf } from '../../../lib/outbox/lane-hash.js';
import { RocketMQError } from '../../../lib/message/rocketmq-error.js';
import { databaseNames, type DatabaseName } from '../../support/databases.js';
import { AWAY, UNKNOWN_TOPIC } from '../../support/scripted-producer.js';
import { outboxDatabase } from '../../support/outbox-database.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 8;
const HOUR_EARLIER: Readonly<Record<DatabaseName, string>> = {
  postgres: "created_at - interval '1 hour'",
  mariadb: 'created_at - INTERVAL 1 HOUR',
  sqlite: 'created_at - 3600000',
};

describe.each(databaseNames())('outbox on %s', (name) => {
  const database = outboxDatabase(name, LANES);
  const { harness, startWithLanes, transaction } = database;

  describe('what is committed is sent', () => {
    it('sends a row once, with everything it was given, and removes it', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      const { messageId } = await transaction((tx) =>
        outbox.send(
          tx,
          'orders:created',
          { id: 'ä€😀' },
          { keys: ['o-1', 'c-2'], headers: { tenant: 'zürich' } },
        ),
      );
      await settled();
      expect(producer.stored).toHaveLength(1);
      expect(producer.stored[0]).toMatchObject({
        topic: 'orders',
        tag: 'created',
        keys: ['o-1', 'c-2'],
        headers: { tenant: 'zürich' },
        messageId,
        body: Buffer.from('{"id":"ä€😀"}'),
      });
      expect(messageId).toMatch(/^[0-9A-F]{32}$/);
    });

    it('sends right after the commit, before any look at the table could have found it', async () => {
      const { outbox, producer } = await startWithLanes({
        pollMinMs: 60_000,
        pollMaxMs: 60_000,
        sweepMs: 60_000,
      });
      await transaction((tx) => outbox.send(tx, 'orders', 1));
      await waitFor(() => producer.stored.length === 1);
    });

    it('finds rows an instance without relay wrote', async () => {
      const { producer, settled } = await startWithLanes();
      const writer = harness.create(database.dataSource, { relay: false });
      await transaction(async (tx) => {
        await writer.outbox.send(tx, 'orders', 'keyless');
        await writer.outbox.send(tx, 'orders', 'keyed', { orderingKey: 'k' });
      });
      await settled();
      expect(producer.bodies.toSorted()).toEqual(['"keyed"', '"keyless"']);
    });

    it('sends what was written before any instance was started', async () => {
      const writer = harness.create(database.dataSource, { relay: false });
      await transaction((tx) =>
        writer.outbox.sendAll(
          tx,
          Array.from({ length: 300 }, (_, n) => ({ destination: 'orders', payload: n })),
        ),
      );
      const { producer, settled } = await startWithLanes();
      await settled();
      expect(producer.bodies.map(Number).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 300 }, (_, n) => n),
      );
    });

    it('holds no more rows in memory than it may, however large the backlog', async () => {
      const writer = harness.create(database.dataSource, { relay: false });
      await transaction((tx) =>
        writer.outbox.sendAll(
          tx,
          Array.from({ length: 3_000 }, (_, n) => ({
            destination: 'orders',
            payload: n,
            options: { orderingKey: `k${n % 50}` },
          })),
        ),
      );
      let most = 0;
      const { producer, relay, settled } = await harness.start(database.dataSource, {
        maxRows: 300,
        fetchSize: 20,
        script: () => {
          most = Math.max(most, relay.load.rows);
          return undefined;
        },
      });
      await settled();
      expect(producer.stored).toHaveLength(3_000);
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThanOrEqual(300 + LANES * 20);
    });
  });

  describe('what is rolled back is never sent', () => {
    it('forgets rows of a transaction that failed', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      await expect(
        transaction(async (tx) => {
          await outbox.send(tx, 'orders', 'phantom');
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      await transaction((tx) => outbox.send(tx, 'orders', 'real'));
      await settled();
      expect(producer.bodies).toEqual(['"real"']);
    });

    it('forgets rows of a nested transaction that failed, and sends those around it', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      await transaction(async (tx) => {
        await outbox.send(tx, 'orders', 'before');
        await tx
          .transaction(async (nested) => {
            await outbox.send(nested, 'orders', 'phantom');
            throw new Error('inner');
          })
          .catch(() => undefined);
        await outbox.send(tx, 'orders', 'after');
      });
      await settled();
      expect(producer.bodies.toSorted()).toEqual(['"after"', '"before"']);
    });

    it('forgets rows rolled back with a savepoint TypeORM knows nothing of', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      await transaction(async (tx) => {
        await outbox.send(tx, 'orders', 'real');
        await tx.query('SAVEPOINT mine');
        await outbox.send(tx, 'orders', 'phantom');
        await tx.query('ROLLBACK TO SAVEPOINT mine');
      });
      await settled();
      expect(producer.bodies).toEqual(['"real"']);
    });

    it('sends nothing at the commit of a nested transaction before the outer one is committed', async () => {
      const { outbox, producer } = await startWithLanes();
      await expect(
        transaction(async (tx) => {
          await tx.transaction((nested) => outbox.send(nested, 'orders', 'phantom'));
          throw new Error('outer');
        }),
      ).rejects.toThrow('outer');
      await transaction((tx) => outbox.send(tx, 'orders', 'real'));
      await waitFor(() => producer.bodies.includes('"real"'));
      expect(producer.bodies).toEqual(['"real"']);
    });
  });

  describe('a call that cannot work fails at once', () => {
    it('refuses a manager without transaction', async () => {
      const { outbox, pending } = harness.create(database.dataSource);
      await expect(outbox.send(database.dataSource.manager, 'orders', 1)).rejects.toMatchObject({
        code: 'NO_TRANSACTION',
      });
      await expect(outbox.send('orders', 1)).rejects.toMatchObject({ code: 'NO_TRANSACTION' });
      expect(await pending()).toBe(0);
    });

    it('refuses a manager whose transaction has ended', async () => {
      const { outbox } = harness.create(database.dataSource);
      const ended = await transaction((tx) => Promise.resolve(tx));
      await expect(outbox.send(ended, 'orders', 1)).rejects.toMatchObject({ code: 'NO_TRANSACTION' });
    });

    it.each([
      ['a topic RocketMQ refuses', ['orders/eu', 1], 'INVALID_ARGUMENT'],
      ['an empty topic', ['', 1], 'INVALID_ARGUMENT'],
      ['a payload without JSON form', ['orders', undefined], 'SERIALIZATION_FAILED'],
      ['a payload with BigInt', ['orders', 1n], 'SERIALIZATION_FAILED'],
      ['a reserved header', ['orders', 1, { headers: { KEYS: 'x' } }], 'INVALID_ARGUMENT'],
      ['a key with a space', ['orders', 1, { keys: 'a b' }], 'INVALID_ARGUMENT'],
      [
        'an ordering key that is too long',
        ['orders', 1, { orderingKey: 'x'.repeat(256) }],
        'INVALID_ARGUMENT',
      ],
      ['two tags', ['orders:a', 1, { tag: 'b' }], 'INVALID_ARGUMENT'],
      ['two delivery times', ['orders', 1, { delay: 5, deliverAt: new Date() }], 'INVALID_ARGUMENT'],
      ['a delay level that does not exist', ['orders', 1, { delay: { level: 19 } }], 'INVALID_ARGUMENT'],
      ['a delay without a unit', ['orders', 1, { delay: '10' }], 'INVALID_ARGUMENT'],
      ['an invalid date', ['orders', 1, { deliverAt: new Date('nonsense') }], 'INVALID_ARGUMENT'],
      ['a body over the limit', ['orders', 'x'.repeat(4 * 1024 * 1024)], 'MESSAGE_TOO_LARGE'],
      [
        'properties over the limit',
        ['orders', 1, { headers: { a: 'x'.repeat(32_000) } }],
        'MESSAGE_TOO_LARGE',
      ],
    ] as const)('refuses %s before anything is written', async (_what, args, code) => {
      const { outbox, pending } = harness.create(database.dataSource);
      const call = outbox.send.bind(outbox) as (tx: EntityManager, ...rest: unknown[]) => Promise<unknown>;
      const error = await transaction(async (tx) => {
        const failure = await call(tx, ...args).catch((thrown: unknown) => thrown);
        await tx.query('SELECT 1'); // the transaction is unharmed
        return failure;
      });
      expect(error).toBeInstanceOf(RocketMQError);
      expect(error).toMatchObject({ code });
      expect(await pending()).toBe(0);
    });

    it('writes none of many when one is wrong', async () => {
      const { outbox, pending } = harness.create(database.dataSource);
      await transaction(async (tx) => {
        const entries = [
          { destination: 'orders', payload: 1 },
          { destination: 'or ders', payload: 2 },
        ];
        await expect(outbox.sendAll(tx, entries)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      });
      expect(await pending()).toBe(0);
    });
  });

  describe('batches and single messages', () => {
    it('sends keyless rows in broker batches, within the limits of rows and bytes', async () => {
      const { outbox, producer, settled } = await startWithLanes({ batchSize: 50, batchBytes: 20_000 });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 500 }, (_, n) => ({
            destination: 'orders',
            payload: 'x'.repeat(n < 250 ? 10 : 1_000),
          })),
        ),
      );
      await settled();
      const sizes = producer.calls.map(({ messages }) => messages.length);
      expect(Math.max(...sizes)).toBe(50);
      expect(producer.calls.length).toBeLessThan(50);
      for (const { messages } of producer.calls) {
        expect(messages.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(20_000);
      }
      expect(new Set(producer.stored.map(({ messageId }) => messageId)).size).toBe(500);
    });

    it('never puts two topics, a delay or an ordering key into a batch', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 200 }, (_, n) => ({
            destination: n % 2 === 0 ? 'orders' : 'audit',
            payload: n,
            options: n % 10 === 3 ? { orderingKey: 'k' } : n % 10 === 5 ? { delay: 60_000 } : {},
          })),
        ),
      );
      await settled();
      for (const { messages, batch } of producer.calls) {
        expect(new Set(messages.map(({ topic }) => topic)).size).toBe(1);
        if (batch)
          expect(
            messages.every(
              ({ orderingKey, delivery }) => orderingKey === undefined && delivery === undefined,
            ),
          ).toBe(true);
      }
      expect(producer.stored).toHaveLength(200);
    });

    it('sends the others when one of a batch is refused, and puts that one aside', async () => {
      const { outbox, producer, parked } = await startWithLanes({
        script: ({ messages }) =>
          messages.some(({ body }) => body.toString() === '"bad"') ? { fail: UNKNOWN_TOPIC } : undefined,
      });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 40 }, (_, n) => ({ destination: 'orders', payload: n === 17 ? 'bad' : n })),
        ),
      );
      await waitFor(() => producer.stored.length === 39);
      await waitFor(async () => (await parked.list()).items.length === 1);
      expect(producer.bodies).not.toContain('"bad"');
    });

    it('writes many rows with one statement', async () => {
      const { outbox, pending } = harness.create(database.dataSource, { relay: false });
      const statements: string[] = [];
      const keeper = { afterQuery: ({ query }: { query: string }) => void statements.push(query) };
      database.dataSource.subscribers.push(keeper);
      try {
        await transaction((tx) =>
          outbox.sendAll(
            tx,
            Array.from({ length: 500 }, (_, n) => ({
              destination: 'orders',
              payload: n,
              options: { orderingKey: `k${n}` },
            })),
          ),
        );
      } finally {
        database.dataSource.subscribers.splice(database.dataSource.subscribers.indexOf(keeper), 1);
      }
      expect(statements.filter((query) => /INSERT/i.test(query))).toHaveLength(1);
      expect(await pending()).toBe(500);
    });
  });

  describe('delivery times', () => {
    it('passes on levels, points in time and delays, and leaves out what has passed', async () => {
      const { outbox, producer, settled } = await startWithLanes();
      const at = new Date(Date.now() + 3_600_000);
      const before = Date.now();
      await transaction(async (tx) => {
        await outbox.send(tx, 'orders', 'level', { delay: { level: 3 } });
        await outbox.send(tx, 'orders', 'at', { deliverAt: at });
        await outbox.send(tx, 'orders', 'delay', { delay: 60_000 });
        await outbox.send(tx, 'orders', 'text', { delay: '1m' });
        await outbox.send(tx, 'orders', 'past', { deliverAt: new Date(Date.now() - 1_000) });
      });
      await settled();
      const delivery = (body: string) =>
        producer.stored.find((message) => message.body.toString() === `"${body}"`)?.delivery;
      expect(delivery('level')).toEqual({ level: 3 });
      expect(delivery('at')).toEqual({ at: at.getTime() });
      expect(delivery('past')).toBeUndefined();
      for (const body of ['delay', 'text']) {
        const due = (delivery(body) as { at: number }).at;
        expect(Number.isInteger(due)).toBe(true);
        expect(due).toBeGreaterThanOrEqual(before + 59_000);
        expect(due).toBeLessThanOrEqual(Date.now() + 61_000);
      }
    });
  });

  describe('order of a key', () => {
    it('asks about slower transactions only where there can be some: of a backlog, shortly before each row', async () => {
      const writer = harness.create(database.dataSource, { relay: false });
      const payloads = Array.from({ length: 3_000 }, (_, n) => n);
      await transaction((tx) =>
        writer.outbox.sendAll(
          tx,
          payloads.map((n) => ({ destination: 'orders', payload: n, options: { orderingKey: `k${n % 5}` } })),
        ),
      );
      // Written long before the first sweep, whatever that takes.
      await database.dataSource.query(`UPDATE rmq_outbox SET created_at = ${HOUR_EARLIER[name]}`);
      const store = createOutboxStore(database.dataSource, 'rmq_');
      const { overtaken } = store;
      let widest = 0;
      store.overtaken = (ranges, ...rest) => {
        for (const { after, upto } of ranges) widest = Math.max(widest, upto - after);
        return overtaken.call(store, ranges, ...rest);
      };
      const { producer, settled } = await startWithLanes({ store, fetchSize: 100, maxRows: 400 });
      await settled();
      expect(producer.stored).toHaveLength(3_000);
      expect(widest).toBeLessThanOrEqual(1_000);
    });

    if (name !== 'sqlite') {
      it('holds back a row while one of its key, from a slower transaction, is in front of it', async () => {
        // Rows of another application, which this one finds by looking; no sweep helps by chance.
        const writer = harness.create(database.dataSource, { relay: false });
        const { producer, settled } = await startWithLanes({ sweepMs: 60_000 });
        const neighbour = Array.from({ length: 100 }, (_, n) => `n${n}`).find(
          (key) => laneOf(key, LANES) === laneOf('k', LANES),
        );
        const write = (payload: string, orderingKey = 'k') =>
          transaction((tx) => writer.outbox.send(tx, 'orders', payload, { orderingKey }));
        for (const round of [1, 2, 3]) {
          await transaction(async (tx) => {
            await writer.outbox.send(tx, 'orders', `slow ${round}`, { orderingKey: 'k' });
            await write(`neighbour ${round}`, neighbour);
            await waitFor(() => producer.bodies.includes(`"neighbour ${round}"`));
          });
          await write(`fast ${round}`);
          await settled();
        }
        expect(producer.bodies.filter((body) => !body.includes('neighbour'))).toEqual(
          [1, 2, 3].flatMap((round) => [`"slow ${round}"`, `"fast ${round}"`]),
        );
      });
    }

    it('has one message of a key in flight, others at the same time', async () => {
      const inFlight = new Map<string, number>();
      let mostOfOneKey = 0;
      const { outbox, producer, settled } = await startWithLanes({
        script: async ({ messages }) => {
          const key = messages[0]?.orderingKey ?? '';
          inFlight.set(key, (inFlight.get(key) ?? 0) + 1);
          mostOfOneKey = Math.max(mostOfOneKey, inFlight.get(key) ?? 0);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
          inFlight.set(key, (inFlight.get(key) ?? 0) - 1);
          return undefined;
        },
      });
      for (let round = 0; round < 10; round += 1) {
        await transaction((tx) =>
          outbox.sendAll(
            tx,
            Array.from({ length: 30 }, (_, n) => ({
              destination: n % 3 === 0 ? 'orders' : 'audit',
              payload: round * 30 + n,
              options: { orderingKey: `k${n % 5}` },
            })),
          ),
        );
      }
      await settled();
      expect(mostOfOneKey).toBe(1);
      expect(producer.mostInFlight).toBeGreaterThan(1);
      expectOrder(producer.stored);
    });

    it('keeps the order through failures and lost acknowledgements; what comes twice comes with the same id', async () => {
      let calls = 0;
      const { outbox, producer, settled } = await startWithLanes({
        script: () => {
          calls += 1;
          return calls % 5 === 0 ? { lose: AWAY } : calls % 3 === 0 ? { fail: AWAY } : undefined;
        },
      });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 60 }, (_, n) => ({
            destination: 'orders',
            payload: n,
            options: { orderingKey: `k${n % 4}` },
          })),
        ),
      );
      await settled();
      const firstTime = producer.stored.filter(
        ({ messageId }, index) =>
          producer.stored.findIndex((other) => other.messageId === messageId) === index,
      );
      expect(firstTime).toHaveLength(60);
      expect(producer.stored.length).toBeGreaterThan(60);
      expectOrder(firstTime);
    });
  });

  describe('a broker that is away', () => {
    it('leaves the rows as they are, tries less and less often, and sends all when it is back', async () => {
      let away = true;
      const { outbox, producer, seen, settled, pending } = await startWithLanes({
        script: () => (away ? { fail: AWAY } : undefined),
      });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 200 }, (_, n) => ({
            destination: 'orders',
            payload: n,
            ...(n % 2 && { options: { orderingKey: `k${n}` } }),
          })),
        ),
      );
      await waitFor(() => seen['outbox.backoff'].length > 5);
      expect(await pending()).toBe(200);
      expect(producer.stored).toHaveLength(0);
      const attempts = await database.dataSource.query<{ most: number }[]>(
        'SELECT max(attempts) AS most FROM rmq_outbox',
      );
      expect(Number(attempts[0]?.most)).toBe(0);
      away = false;
      await settled();
      expect(producer.stored).toHaveLength(200);
      expect(seen['outbox.parked']).toHaveLength(0);
    });

    it('holds back only the topic that fails', async () => {
      const { outbox, producer } = await startWithLanes({
        script: ({ messages }) => (messages[0]?.topic === 'audit' ? { fail: AWAY } : undefined),
      });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 100 }, (_, n) => ({
            destination: n % 2 === 0 ? 'orders' : 'audit',
            payload: n,
          })),
        ),
      );
      await waitFor(() => producer.stored.length === 50);
      expect(new Set(producer.stored.map(({ topic }) => topic))).toEqual(new Set(['orders']));
    });

    it('tries with one message, not with all, while the broker is away', async () => {
      const { outbox, producer, seen } = await startWithLanes({ script: () => ({ fail: AWAY }) });
      await transaction((tx) =>
        outbox.sendAll(
          tx,
          Array.from({ length: 100 }, (_, n) => ({
            destination: 'orders',
            payload: n,
            options: { orderingKey: `k${n}` },
          })),
        ),
      );
      await waitFor(() => seen['outbox.backoff'].length >= 6);
      // The first burst found out; after that every pause ends with one attempt.
      const afterBurst = producer.calls.length - 64;
      expect(afterBurst).toBeLessThanOrEqual(seen['outbox.backoff'].length + 2);
    });
  });
});

/** Bodies are growing numbers within each ordering key. */
function expectOrder(messages: readonly { orderingKey?: string | undefined; body: Buffer }[]): void {
  const last = new Map<string, number>();
  for (const { orderingKey = '', body } of messages) {
    const number = Number(body.toString());
    expect(number, `order of ${orderingKey}`).toBeGreaterThan(last.get(orderingKey) ?? -1);
    last.set(orderingKey, number);
  }
}
