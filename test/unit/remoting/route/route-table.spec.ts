import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../../../lib/client/clock.js';
import { RemotingChannels } from '../../../../lib/client/remoting/network/remoting-channels.js';
import { NameServerClient } from '../../../../lib/client/remoting/route/name-server.js';
import { RouteTable } from '../../../../lib/client/remoting/route/route-table.js';
import { waitFor } from '../../../support/wait-for.js';
import { NameServerPeer } from './name-server-peer.js';

const NEVER_MS = 3_600_000;
const READ = 4;
const WRITE = 2;

let channels: RemotingChannels;
let server: NameServerPeer;
let routes: RouteTable;
let changed: string[];
let logged: string[];

function open(pollIntervalMs: number): void {
  const log = (level: string, message: string): void => void logged.push(`${level} ${message}`);
  const names = new NameServerClient(channels, [server.address], {
    requestTimeoutMs: 1_000,
    clock: systemClock,
    log,
  });
  routes = new RouteTable(names, { pollIntervalMs, clock: systemClock, log });
  routes.onChange((topic) => changed.push(topic));
}

function names(queues: readonly { brokerName: string; queueId: number }[]): string[] {
  return queues.map(({ brokerName, queueId }) => `${brokerName}:${queueId}`);
}

beforeEach(async () => {
  changed = [];
  logged = [];
  server = await NameServerPeer.start();
  channels = new RemotingChannels({ connectTimeoutMs: 500, clock: systemClock, log: () => undefined });
});

afterEach(async () => {
  routes.close();
  await channels.close();
  await server.peer.stop();
});

describe('queues', () => {
  beforeEach(() => open(NEVER_MS));

  it('to publish: writable, of brokers with a master, sorted', async () => {
    server.setRoute('orders', {
      'broker-c': { write: 1 },
      'broker-a': { write: 2 },
      'read-only': { perm: READ },
      orphan: { addresses: { 1: 'slave:10911' } },
    });
    const info = await routes.publishQueues('orders', { autoCreate: false });
    expect(names(info.queues)).toEqual(['broker-a:0', 'broker-a:1', 'broker-c:0']);
    expect(info).toMatchObject({ topic: 'orders', autoCreated: false, orderTopic: false });
  });

  it('to subscribe: readable, of brokers with or without a master, sorted', async () => {
    server.setRoute('orders', {
      'broker-b': { read: 1, addresses: { 1: 'slave:10911' } },
      'broker-a': { read: 2 },
      'write-only': { perm: WRITE },
    });
    expect(names(await routes.subscribeQueues('orders'))).toEqual(['broker-a:0', 'broker-a:1', 'broker-b:0']);
  });

  it('of an ordered topic follow its configuration', async () => {
    server.setRoute('orders', { 'broker-a': {}, 'broker-b': {} }, 'broker-b:1;broker-a:2');
    const info = await routes.publishQueues('orders', { autoCreate: false });
    expect(names(info.queues)).toEqual(['broker-b:0', 'broker-a:0', 'broker-a:1']);
    expect(info.orderTopic).toBe(true);
  });

  it('are read once for all who ask at the same time, and from memory afterwards', async () => {
    server.setRoute('orders', { 'broker-a': {} });
    expect(routes.cachedPublishInfo('orders')).toBeUndefined();
    await Promise.all([
      routes.publishQueues('orders', { autoCreate: false }),
      routes.publishQueues('orders', { autoCreate: true }),
      routes.subscribeQueues('orders'),
    ]);
    const info = await routes.publishQueues('orders', { autoCreate: false });
    expect(routes.cachedPublishInfo('orders')).toBe(info);
    expect(server.asked).toEqual(['orders']);
  });

  it('that nobody may write to are a typed error, which ends with the permission', async () => {
    server.setRoute('orders', { 'broker-a': { perm: READ } });
    await expect(routes.publishQueues('orders', { autoCreate: true })).rejects.toMatchObject({
      code: 'NO_WRITABLE_QUEUE',
      retryable: true,
    });
    server.setRoute('orders', { 'broker-a': {} });
    expect((await routes.publishQueues('orders', { autoCreate: true })).queues).toHaveLength(4);
  });

  it('of a topic that does not exist are a typed error', async () => {
    await expect(routes.publishQueues('orders', { autoCreate: false })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
    await expect(routes.subscribeQueues('orders')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
  });
});

describe('a topic that is about to be created', () => {
  it('borrows the queues of TBW102, four per broker at most, only for those who may create it', async () => {
    open(NEVER_MS);
    server.setRoute('TBW102', { 'broker-a': { write: 8 }, 'broker-b': { write: 2 } });
    const info = await routes.publishQueues('orders', { autoCreate: true });
    expect(info).toMatchObject({ topic: 'orders', autoCreated: true });
    expect(info.queues.every(({ topic }) => topic === 'orders')).toBe(true);
    expect(names(info.queues)).toEqual([
      ...[0, 1, 2, 3].map((id) => `broker-a:${id}`),
      ...[0, 1].map((id) => `broker-b:${id}`),
    ]);
    await expect(routes.publishQueues('orders', { autoCreate: false })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
    await expect(routes.subscribeQueues('orders')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expect(routes.cachedPublishInfo('orders')).toBe(info);
  });

  it('gets its own queues with the poll after its creation', async () => {
    open(20);
    server.setRoute('TBW102', { 'broker-a': {} });
    await routes.publishQueues('orders', { autoCreate: true });
    server.setRoute('orders', { 'broker-a': { write: 8 } });
    await waitFor(() => routes.cachedPublishInfo('orders')?.autoCreated === false);
    expect(routes.cachedPublishInfo('orders')?.queues).toHaveLength(8);
  });

  it('cannot be sent to when brokers do not create topics', async () => {
    open(NEVER_MS);
    await expect(routes.publishQueues('orders', { autoCreate: true })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
  });
});

describe('brokers', () => {
  beforeEach(() => open(NEVER_MS));

  it('are known by name and id, of all topics in use', async () => {
    server.setRoute('orders', { 'broker-a': { addresses: { 1: 'slave:10911', 0: 'master:10911' } } });
    server.setRoute('payments', { 'broker-b': {} });
    await routes.subscribeQueues('orders');
    await routes.publishQueues('payments', { autoCreate: false });
    expect(routes.masterAddress('broker-a')).toBe('master:10911');
    expect(routes.address('broker-a', 1)).toBe('slave:10911');
    expect([...routes.addresses('broker-a').keys()]).toEqual([0, 1]);
    expect(routes.allBrokers().map(({ brokerName }) => brokerName)).toEqual(['broker-a', 'broker-b']);
    expect(routes.masterAddress('unknown')).toBeUndefined();
    expect(routes.addresses('unknown').size).toBe(0);
  });

  it('move with the route that was read last', async () => {
    server.setRoute('orders', { 'broker-a': {} });
    server.setRoute('payments', { 'broker-a': {} });
    await routes.subscribeQueues('orders');
    await routes.subscribeQueues('payments');
    server.setRoute('orders', { 'broker-a': { addresses: { 0: 'elsewhere:10911' } } });
    expect(await routes.refresh('orders')).toBe(true);
    expect(routes.masterAddress('broker-a')).toBe('elsewhere:10911');
  });

  it('that left every route are forgotten', async () => {
    server.setRoute('orders', { 'broker-a': {}, 'broker-b': {} });
    await routes.subscribeQueues('orders');
    server.setRoute('orders', { 'broker-b': {} });
    await routes.refresh('orders');
    expect(routes.allBrokers().map(({ brokerName }) => brokerName)).toEqual(['broker-b']);
  });
});

describe('a change', () => {
  it('is noticed by the poll and told once', async () => {
    open(20);
    server.setRoute('orders', { 'broker-a': {} });
    await routes.subscribeQueues('orders');
    expect(changed).toEqual(['orders']);
    const asked = server.asked.length;
    await waitFor(() => server.asked.length > asked + 3);
    expect(changed).toEqual(['orders']);
    server.setRoute('orders', { 'broker-a': { read: 8 } });
    await waitFor(() => changed.length === 2);
    expect(await routes.subscribeQueues('orders')).toHaveLength(8);
    await waitFor(() => server.asked.length > asked + 6);
    expect(changed).toHaveLength(2);
  });

  it('is told to every listener, also when one fails', async () => {
    open(NEVER_MS);
    const told: string[] = [];
    const remove = routes.onChange(() => {
      throw new Error('somebody else');
    });
    routes.onChange((topic) => told.push(topic));
    server.setRoute('orders', { 'broker-a': {} });
    expect(await routes.refresh('orders')).toBe(true);
    expect(await routes.refresh('orders')).toBe(false);
    expect(told).toEqual(['orders']);
    expect(logged.filter((line) => line.startsWith('error'))).toHaveLength(1);
    remove();
  });

  it('that the name server cannot tell leaves the route as it is', async () => {
    open(20);
    server.setRoute('orders', { 'broker-a': {} });
    const before = await routes.subscribeQueues('orders');
    await server.peer.stop();
    await waitFor(() => logged.some((line) => line.startsWith('warn')));
    expect(await routes.subscribeQueues('orders')).toBe(before);
    server.routes.clear();
    await server.peer.listen();
    const asked = server.asked.length;
    await waitFor(() => server.asked.length > asked + 2);
    expect(await routes.subscribeQueues('orders')).toBe(before);
    server.setRoute('orders', { 'broker-a': { read: 1 } });
    await waitFor(() => changed.length === 2);
  });
});

describe('polling', () => {
  it('waits for a tracked topic to appear', async () => {
    open(20);
    routes.track('orders');
    await waitFor(() => server.asked.length > 2);
    server.setRoute('orders', { 'broker-a': {} });
    await waitFor(() => changed.includes('orders'));
  });

  it('leaves out what nobody used for ten polls and nobody tracks', async () => {
    open(10);
    for (const topic of ['used', 'unused', 'tracked']) {
      server.setRoute(topic, { [`broker-of-${topic}`]: {} });
      await routes.subscribeQueues(topic);
    }
    routes.track('tracked');
    routes.track('tracked');
    routes.untrack('tracked');
    await waitFor(() => {
      routes.cachedPublishInfo('used');
      return routes.allBrokers().length === 2;
    });
    expect(
      routes
        .allBrokers()
        .map(({ brokerName }) => brokerName)
        .toSorted(),
    ).toEqual(['broker-of-tracked', 'broker-of-used']);
    routes.untrack('tracked');
    await waitFor(() => {
      routes.cachedPublishInfo('used');
      return routes.allBrokers().length === 1;
    });
  });

  it('ends with closing', async () => {
    open(10);
    routes.track('orders');
    await waitFor(() => server.asked.length > 2);
    routes.close();
    await channels.close();
    await waitFor(() => server.peer.open.length === 0);
    expect(logged.filter((line) => !line.startsWith('debug'))).toEqual([]);
  });
});
