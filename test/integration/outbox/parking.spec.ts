import { describe, expect, it } from 'vitest';
import { createOutboxStore } from '../../../lib/outbox/create-outbox.js';
import { RocketMQError } from '../../../lib/message/rocketmq-error.js';
import { databaseNames } from '../../support/databases.js';
import { type OutboxInstance } from '../../support/outbox-harness.js';
import { UNKNOWN_TOPIC, type Script } from '../../support/scripted-producer.js';
import { outboxDatabase } from '../../support/outbox-database.js';
import { waitFor } from '../../support/wait-for.js';

const LANES = 4;
const TOO_LARGE = new RocketMQError('MESSAGE_TOO_LARGE', 'The broker takes less. Send less.');

describe.each(databaseNames())('parked messages on %s', (name) => {
  const database = outboxDatabase(name, LANES);
  const { harness, startWithLanes, transaction } = database;
  /** Refuses bodies that contain "bad", as long as `broken.is`. */
  const refusing = (broken: { is: boolean }, error: unknown = UNKNOWN_TOPIC): Script => {
    return ({ messages }) =>
      broken.is && messages.some(({ body }) => body.toString().includes('bad')) ? { fail: error } : undefined;
  };
  const write = (
    { outbox }: OutboxInstance,
    payloads: readonly string[],
    orderingKey?: string,
  ): Promise<unknown> =>
    transaction((tx) =>
      outbox.sendAll(
        tx,
        payloads.map((payload) => ({
          destination: 'orders',
          payload,
          options: orderingKey === undefined ? {} : { orderingKey },
        })),
      ),
    );
  const counts = async (): Promise<{ retrying: number; dead: number }> => {
    const [row] = await database.dataSource.query<{ retrying: unknown; dead: unknown }[]>(
      'SELECT sum(retrying) AS retrying, sum(dead) AS dead FROM rmq_outbox_lane',
    );
    return { retrying: Number(row?.retrying), dead: Number(row?.dead) };
  };

  it('tries a refused row again later, with growing attempts, and sends it when it is accepted', async () => {
    const broken = { is: true };
    const instance = await startWithLanes({ script: refusing(broken) });
    await write(instance, ['bad', 'good']);
    await waitFor(() => instance.seen['outbox.parked'].length >= 2);
    expect(instance.seen['outbox.parked'][0]).toMatchObject({
      topic: 'orders',
      attempts: 1,
      error: UNKNOWN_TOPIC,
    });
    expect(instance.seen['outbox.parked'][0]?.dueAt).toBeInstanceOf(Date);
    expect(instance.seen['outbox.parked'][1]?.attempts).toBe(2);
    broken.is = false;
    await waitFor(() => instance.producer.bodies.includes('"bad"'));
    await instance.settled();
    expect(await counts()).toEqual({ retrying: 0, dead: 0 });
  });

  it('leaves a row to the operator after the last attempt, and keeps it', async () => {
    const instance = await startWithLanes({ script: refusing({ is: true }), maxAttempts: 3 });
    await write(instance, ['bad']);
    await waitFor(() => instance.seen['outbox.parked'].some(({ dueAt }) => dueAt === undefined));
    const { items } = await instance.parked.list({ state: 'dead' });
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      state: 'dead',
      topic: 'orders',
      attempts: 3,
      dueAt: undefined,
      size: 5,
    });
    expect(items[0]?.error).toContain('No such topic');
    expect(await counts()).toEqual({ retrying: 0, dead: 1 });
  });

  it('does not repeat what can never succeed', async () => {
    const instance = await startWithLanes({ script: refusing({ is: true }, TOO_LARGE) });
    await write(instance, ['bad']);
    await waitFor(async () => (await instance.parked.list({ state: 'dead' })).items.length === 1);
    expect(instance.producer.calls).toHaveLength(1);
  });

  it('keeps the rows of its ordering key behind it, in order, while other keys go on', async () => {
    const broken = { is: true };
    const instance = await startWithLanes({ script: refusing(broken) });
    await write(instance, ['1', '2-bad', '3', '4'], 'k');
    await write(instance, ['a', 'b'], 'other');
    await waitFor(() => instance.producer.bodies.includes('"b"'));
    await write(instance, ['5', '6'], 'k');
    await waitFor(async () => (await instance.parked.list({ state: 'behind' })).items.length === 4);
    expect(instance.producer.bodies.filter((body) => !'"a""b"'.includes(body))).toEqual(['"1"']);
    broken.is = false;
    await waitFor(() => instance.producer.bodies.includes('"6"'));
    await instance.settled();
    expect(instance.producer.bodies.filter((body) => !'"a""b"'.includes(body))).toEqual(
      ['1', '2-bad', '3', '4', '5', '6'].map((text) => `"${text}"`),
    );
    expect(await counts()).toEqual({ retrying: 0, dead: 0 });
  });

  it('keeps later rows behind one that is refused again while the database frees them', async () => {
    const broken = { is: true };
    const store = createOutboxStore(database.dataSource, 'rmq_');
    const { fetch, park, unpark } = store;
    const refusals = (): number =>
      instance.producer.calls.filter(({ messages }) => messages[0]?.body.toString() === '"2-bad"').length;
    const isLater = ({ body }: { readonly body: Buffer }): boolean =>
      ['"5"', '"6"'].includes(body.toString());
    let returning = false;
    let found = false;
    let refusedBefore = 0;
    let later: Promise<unknown> | undefined;
    // Due rows are in the outbox again; before anybody here knows, later ones of their key are found.
    store.unpark = async (...request) => {
      returning = true;
      const result = await unpark.apply(store, request);
      later ??= write(instance, ['5', '6'], 'k');
      await later;
      await waitFor(() => found);
      refusedBefore = refusals();
      returning = false;
      return result;
    };
    store.fetch = async (...request) => {
      const rows = await fetch.apply(store, request);
      if (!returning) return rows;
      found ||= rows.some(isLater);
      return rows.filter(isLater);
    };
    // Nothing is parked at this moment, so the later ones are free. Meanwhile the first one is refused again.
    store.park = async (lease, orders, behindDead) => {
      const result = await park.call(store, lease, orders, behindDead);
      if (result.free.length === 2) await waitFor(() => refusals() > refusedBefore);
      return result;
    };
    const instance = await startWithLanes({ script: refusing(broken), store });
    await write(instance, ['1', '2-bad', '3', '4'], 'k');
    await waitFor(() => refusals() >= 4);
    expect(instance.producer.bodies).toEqual(['"1"']);
    broken.is = false;
    await waitFor(() => instance.producer.bodies.includes('"6"'));
    expect(instance.producer.bodies).toEqual(['1', '2-bad', '3', '4', '5', '6'].map((text) => `"${text}"`));
    await instance.settled();
    expect(await counts()).toEqual({ retrying: 0, dead: 0 });
  });

  it('keeps the order when more is behind than comes back at once', async () => {
    const broken = { is: true };
    const instance = await startWithLanes({ script: refusing(broken), fetchSize: 7 });
    const later = Array.from({ length: 50 }, (_, n) => `n${n}`);
    await write(instance, ['bad', ...later], 'k');
    await waitFor(async () => (await instance.parked.list({ state: 'behind' })).items.length === 50);
    broken.is = false;
    await write(instance, ['last'], 'k');
    await waitFor(() => instance.producer.bodies.includes('"last"'));
    expect(instance.producer.bodies).toEqual(['bad', ...later, 'last'].map((text) => `"${text}"`));
  });

  it('blocks an ordering key behind a dead row until the operator replays it', async () => {
    const broken = { is: true };
    const instance = await startWithLanes({ script: refusing(broken, TOO_LARGE) });
    await write(instance, ['bad', '2'], 'k');
    await waitFor(async () => (await instance.parked.list()).items.length === 2);
    await write(instance, ['3'], 'k');
    await waitFor(async () => (await instance.parked.list({ state: 'behind' })).items.length === 2);
    expect(instance.producer.stored).toHaveLength(0);
    broken.is = false;
    expect(await instance.parked.replay({ state: 'dead' })).toBe(1);
    expect(instance.seen['outbox.replayed']).toEqual([{ count: 1 }]);
    await waitFor(() => instance.producer.stored.length === 3);
    expect(instance.producer.bodies).toEqual(['"bad"', '"2"', '"3"']);
    await instance.settled();
    expect(await counts()).toEqual({ retrying: 0, dead: 0 });
  });

  it('lets the rows behind a dead one go when the operator discards it', async () => {
    const instance = await startWithLanes({ script: refusing({ is: true }, TOO_LARGE) });
    await write(instance, ['bad', '2', '3'], 'k');
    await waitFor(async () => (await instance.parked.list()).items.length === 3);
    const { items } = await instance.parked.list({ state: 'dead' });
    expect(await instance.parked.discard(items[0]?.id ?? 0)).toBe(1);
    await waitFor(() => instance.producer.stored.length === 2);
    expect(instance.producer.bodies).toEqual(['"2"', '"3"']);
    expect(await counts()).toEqual({ retrying: 0, dead: 0 });
  });

  it('goes on behind a dead row when it is told to skip', async () => {
    const broken = { is: true };
    const instance = await startWithLanes({ script: refusing(broken), behindDead: 'skip', maxAttempts: 2 });
    await write(instance, ['bad', '2', '3'], 'k');
    await waitFor(() => instance.producer.stored.length === 2);
    expect(instance.producer.bodies).toEqual(['"2"', '"3"']);
    await waitFor(async () => (await counts()).dead === 1);
    expect(await counts()).toEqual({ retrying: 0, dead: 1 });
    broken.is = false;
    await instance.parked.replay({ topic: 'orders' });
    await waitFor(() => instance.producer.bodies.includes('"bad"'));
  });

  it('remembers a blocked key when the lane changes hands', async () => {
    const broken = { is: true };
    const first = await startWithLanes({ script: refusing(broken, TOO_LARGE) });
    await write(first, ['bad', '2'], 'k');
    await waitFor(async () => (await first.parked.list()).items.length === 2);
    await harness.stop();
    const second = await startWithLanes({ script: refusing(broken, TOO_LARGE) });
    await write(second, ['3'], 'k');
    await waitFor(async () => (await second.parked.list({ state: 'behind' })).items.length === 2);
    expect(second.producer.stored).toHaveLength(0);
    broken.is = false;
    await second.parked.replay({ state: 'dead' });
    await waitFor(() => second.producer.stored.length === 3);
    expect(second.producer.bodies).toEqual(['"bad"', '"2"', '"3"']);
  });

  it('lists in pages, filters, and shows one with headers and body', async () => {
    const instance = await startWithLanes({ script: () => ({ fail: TOO_LARGE }) });
    await transaction((tx) =>
      instance.outbox.sendAll(
        tx,
        Array.from({ length: 7 }, (_, n) => ({
          destination: n < 5 ? 'orders' : 'audit',
          payload: { n },
          options: { headers: { n: String(n) }, keys: [`o-${n}`, 'all'] },
        })),
      ),
    );
    await waitFor(async () => (await instance.parked.list({ state: 'dead' })).items.length === 7);
    const first = await instance.parked.list({ topic: 'orders' }, { limit: 3 });
    expect(first.items).toHaveLength(3);
    const second = await instance.parked.list({ topic: 'orders' }, { limit: 3, after: first.next ?? 0 });
    expect(second.items).toHaveLength(2);
    expect(second.next).toBeUndefined();
    const [one] = first.items;
    const detail = await instance.parked.inspect(one?.id ?? 0);
    expect(detail).toMatchObject({ ...one, headers: { n: '0' }, keys: ['o-0', 'all'] });
    expect(detail?.body.toString()).toBe('{"n":0}');
    expect((await instance.parked.list({ messageId: one?.messageId ?? '' })).items).toEqual([one]);
    expect((await instance.parked.list({ parkedBefore: new Date(0) })).items).toEqual([]);
    expect(await instance.parked.inspect(999_999)).toBeUndefined();
    expect(await instance.parked.discard({ topic: 'audit', state: 'dead' })).toBe(2);
    expect(instance.seen['outbox.discarded']).toEqual([{ count: 2 }]);
    expect(await counts()).toEqual({ retrying: 0, dead: 5 });
    await expect(instance.parked.discard({})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
