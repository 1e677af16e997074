import { describe, expect, it } from 'vitest';
import { SqlSession } from '../../../lib/database/sql-session.js';
import { createOutboxStore } from '../../../lib/outbox/create-outbox.js';
import type { OutboxStore } from '../../../lib/outbox/outbox-store.js';
import { databaseNames } from '../../support/databases.js';
import { QUICK, type OutboxInstance } from '../../support/outbox-harness.js';
import { AWAY, UNKNOWN_TOPIC } from '../../support/scripted-producer.js';
import { outboxDatabase } from '../../support/outbox-database.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 12;

describe.each(databaseNames().filter((name) => name !== 'sqlite'))('lanes on %s', (name) => {
  const database = outboxDatabase(name, LANES);
  const { harness, startWithLanes, transaction } = database;

  const lanesOf = (...instances: OutboxInstance[]) => instances.map(({ relay }) => relay.ownedLanes.length);
  const write = ({ outbox }: OutboxInstance, count: number, keys = 0, from = 0): Promise<unknown> =>
    transaction((tx) =>
      outbox.sendAll(
        tx,
        Array.from({ length: count }, (_, n) => ({
          destination: 'orders',
          payload: from + n,
          options: keys > 0 ? { orderingKey: `k${n % keys}` } : {},
        })),
      ),
    );

  it('are shared fairly between instances that come and go, and no lane has two owners', async () => {
    const first = await startWithLanes();
    const second = await harness.start(await database.connect());
    await waitFor(() => lanesOf(first, second).join() === '6,6', {
      describe: () => lanesOf(first, second).join(),
    });
    const third = await harness.start(await database.connect());
    await waitFor(() => lanesOf(first, second, third).join() === '4,4,4');
    const all = [first, second, third].flatMap(({ relay }) => relay.ownedLanes);
    expect(new Set(all).size).toBe(LANES);
    await first.relay.drain(1_000);
    await waitFor(() => lanesOf(second, third).join() === '6,6');
  });

  it('move to another instance at once when an instance stops, and its rows with them', async () => {
    const first = await startWithLanes({
      script: () => ({ fail: AWAY }),
    });
    await write(first, 50);
    await waitFor(() => first.seen['outbox.backoff'].length > 0);
    const second = harness.create(await database.connect());
    await first.relay.drain(1_000);
    await second.relay.start();
    await second.settled();
    expect(second.producer.stored).toHaveLength(50);
  });

  it('go to another instance after the lease when an instance dies; everything is sent, order holds', async () => {
    const dying = new DyingStore(createOutboxStore(await database.connect(), 'rmq_'));
    const first = await harness.start(database.dataSource, {
      store: dying.store,
      script: async ({ number }) => {
        if (number > 20) await new Promise(() => undefined); // the process is gone, answers never come
        return undefined;
      },
    });
    await waitFor(() => first.relay.ownedLanes.length === LANES);
    await write(first, 200, 10);
    await waitFor(() => first.producer.calls.length > 20);
    dying.kill();
    const second = await harness.start(await database.connect());
    await second.settled();
    const sent = [...first.producer.stored, ...second.producer.stored];
    const seen = new Set<string>();
    const last = new Map<string, number>();
    for (const { messageId, orderingKey = '', body } of sent) {
      if (seen.has(messageId ?? '')) continue;
      seen.add(messageId ?? '');
      const number = Number(body.toString());
      expect(number).toBeGreaterThan(last.get(orderingKey) ?? -1);
      last.set(orderingKey, number);
    }
    expect(seen.size).toBe(200);
  });

  it('stop being used before the lease ends when the database cannot be reached', async () => {
    const dying = new DyingStore(createOutboxStore(await database.connect(), 'rmq_'));
    const instance = await harness.start(database.dataSource, { store: dying.store });
    await waitFor(() => instance.relay.ownedLanes.length === LANES);
    dying.kill();
    await waitFor(() => instance.seen['outbox.error'].some(({ phase }) => phase === 'renew'));
    await waitFor(() => instance.relay.ownedLanes.length === 0, { timeoutMs: 2 * (QUICK.leaseMs ?? 0) });
    expect(instance.seen['outbox.lanes'].at(-1)?.lost).toHaveLength(LANES);
  });

  it('come back after the database was away for a while, with nothing lost', async () => {
    const dying = new DyingStore(createOutboxStore(await database.connect(), 'rmq_'));
    const instance = await harness.start(database.dataSource, { store: dying.store });
    await waitFor(() => instance.relay.ownedLanes.length === LANES);
    dying.kill();
    await write(instance, 30, 5);
    await waitFor(() => instance.seen['outbox.error'].length > 3);
    dying.revive();
    await instance.settled();
    expect(new Set(instance.producer.bodies).size).toBe(30);
  });

  describe('fencing', () => {
    const store = async (): Promise<OutboxStore> => createOutboxStore(await database.connect(), 'rmq_');

    it('refuses to put a row aside for an instance whose lane has a new owner', async () => {
      const [stale, fresh] = [await store(), await store()];
      const [lease] = await stale.acquire('stale', 1, 1);
      const writer = harness.create(database.dataSource, { relay: false });
      await write(writer, 1);
      await database.dataSource.query(`UPDATE rmq_outbox SET lane = ${lease?.lane ?? 0}`);
      const [row] = await database.dataSource.query<{ id: unknown }[]>('SELECT id FROM rmq_outbox');
      await waitFor(async () => (await fresh.survey()).claimable === LANES);
      await fresh.acquire('fresh', LANES, 60_000);
      const order = { id: Number(row?.id), state: 'dead' as const, attempts: 1 };
      expect(await stale.park(lease ?? never(), [order], 'block')).toMatchObject({ held: false });
      expect(await writer.pending()).toBe(1);
      expect(await stale.unpark(lease ?? never(), 10)).toMatchObject({ held: false });
      await Promise.all([stale.close(), fresh.close()]);
    });

    it('does not renew a lane that has a new owner, and does not release it either', async () => {
      const [stale, fresh] = [await store(), await store()];
      const [lease] = await stale.acquire('stale', 1, 1);
      await waitFor(async () => (await fresh.survey()).claimable === LANES);
      const taken = await fresh.acquire('fresh', LANES, 60_000);
      const report = { ...(lease ?? never()), pending: 0, more: false, oldestAgeMs: undefined };
      expect(await stale.renew('stale', [report], 60_000)).toEqual([]);
      await stale.release('stale', [lease ?? never()]);
      const mine = taken.find(({ lane }) => lane === lease?.lane);
      expect(mine?.epoch).toBeGreaterThan(lease?.epoch ?? 0);
      expect(await fresh.renew('fresh', [{ ...report, epoch: mine?.epoch ?? 0 }], 60_000)).toEqual([
        lease?.lane,
      ]);
      await Promise.all([stale.close(), fresh.close()]);
    });

    it('lets a late acknowledgement remove the row all the same, and says so', async () => {
      const instance = await startWithLanes({
        script: async ({ messages }) => {
          if (messages.length > 0) await database.dataSource.query('DELETE FROM rmq_outbox'); // somebody else sent it too
          return undefined;
        },
      });
      await write(instance, 3, 3);
      await waitFor(() => instance.seen['outbox.settled'].length > 0);
      const stale = instance.seen['outbox.settled'].reduce((sum, event) => sum + event.stale, 0);
      expect(stale).toBeGreaterThan(0);
    });

    it('gives every lane to one of many instances that ask at the same moment', async () => {
      const stores = await Promise.all(Array.from({ length: 6 }, store));
      const taken = await Promise.all(stores.map((each, n) => each.acquire(`i${n}`, LANES, 60_000)));
      const lanes = taken.flat().map(({ lane }) => lane);
      expect(lanes.toSorted((a, b) => a - b)).toEqual(Array.from({ length: LANES }, (_, lane) => lane));
      await Promise.all(stores.map((each) => each.close()));
    });
  });

  describe('rows that appear late', () => {
    it('are found although higher ids were sent before', async () => {
      const instance = await startWithLanes();
      const slow = (await database.connect()).createQueryRunner();
      await slow.startTransaction();
      const writer = harness.create(slow.manager.dataSource, { relay: false });
      await writer.outbox.send(slow.manager, 'orders', 'late', { orderingKey: 'k1' });
      await write(instance, 100, 20);
      await instance.settled();
      await slow.commitTransaction();
      await slow.release();
      await waitFor(() => instance.producer.bodies.includes('"late"'));
      expect(instance.producer.stored).toHaveLength(101);
    });
  });

  describe('stopping', () => {
    it('waits for what is under way, records it, and gives the lanes back', async () => {
      let answer: () => void = () => undefined;
      const answered = new Promise<void>((resolve) => (answer = resolve));
      const instance = await startWithLanes({
        script: () => answered.then(() => undefined),
      });
      await write(instance, 1);
      await waitFor(() => instance.producer.calls.length === 1);
      const drained = instance.relay.drain(5_000);
      answer();
      expect(await drained).toEqual({ abandoned: 0 });
      expect(await instance.pending()).toBe(0);
      const [row] = await database.dataSource.query<{ n: unknown }[]>(
        'SELECT count(*) AS n FROM rmq_outbox_lane WHERE owner IS NOT NULL',
      );
      expect(Number(row?.n)).toBe(0);
    });

    it('does not wait longer than it may; the row is sent again by the next owner', async () => {
      const first = await startWithLanes({
        script: () => new Promise(() => undefined),
      });
      await write(first, 1);
      await waitFor(() => first.producer.calls.length === 1);
      expect(await first.relay.drain(100)).toEqual({ abandoned: 1 });
      const second = await harness.start(await database.connect());
      await second.settled();
      expect(second.producer.stored).toHaveLength(1);
    });

    it('leaves no connection, no timer and no further send behind', async () => {
      const instance = await startWithLanes({
        script: () => ({ fail: UNKNOWN_TOPIC }),
      });
      await write(instance, 10);
      await waitFor(() => instance.seen['outbox.parked'].length > 0);
      await instance.relay.drain(2_000);
      const calls = instance.producer.calls.length;
      await write(instance, 10);
      const probe = new SqlSession(database.dataSource, name === 'postgres' ? 'postgres' : 'mysql');
      await probe.query('SELECT 1');
      await probe.close();
      expect(instance.producer.calls.length).toBe(calls);
      expect(await instance.relay.drain(1)).toEqual({ abandoned: 0 });
    });
  });
});

/** A store whose database can be taken away, and given back. */
class DyingStore {
  private dead = false;
  readonly store: OutboxStore;

  constructor(real: OutboxStore) {
    this.store = new Proxy(real, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          this.dead && name !== 'insert' && name !== 'close' && name !== 'lanes'
            ? Promise.reject(new Error('Connection terminated: the test took the database away'))
            : (value as (...rest: unknown[]) => unknown).apply(target, args);
      },
    });
  }

  kill(): void {
    this.dead = true;
  }

  revive(): void {
    this.dead = false;
  }
}

function never(): never {
  throw new Error('No lane was free');
}
