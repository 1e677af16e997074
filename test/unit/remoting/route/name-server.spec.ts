import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../../../lib/client/clock.js';
import { RemotingChannels } from '../../../../lib/client/remoting/network/remoting-channels.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import { NameServerClient, parseNameServers } from '../../../../lib/client/remoting/route/name-server.js';
import { waitFor } from '../../../support/wait-for.js';
import { NameServerPeer } from './name-server-peer.js';

const log = (): void => undefined;

let channels: RemotingChannels;
let servers: NameServerPeer[];

async function start(count: number): Promise<NameServerClient> {
  servers = await Promise.all(Array.from({ length: count }, () => NameServerPeer.start()));
  return new NameServerClient(
    channels,
    servers.map(({ address }) => address),
    { requestTimeoutMs: 500, clock: systemClock, log },
  );
}

beforeEach(() => {
  servers = [];
  channels = new RemotingChannels({ connectTimeoutMs: 500, clock: systemClock, log });
});

afterEach(async () => {
  await channels.close();
  await Promise.all(servers.map(({ peer }) => peer.stop()));
});

describe('a route', () => {
  it('is asked for in standard JSON', async () => {
    const names = await start(1);
    servers[0]!.setRoute('orders', { 'broker-b': {}, 'broker-a': {} });
    const route = await names.topicRoute('orders');
    expect(route.queueDatas.map(({ brokerName }) => brokerName)).toEqual(['broker-a', 'broker-b']);
    expect(servers[0]!.peer.requests[0]?.fields).toEqual({ topic: 'orders', acceptStandardJsonOnly: 'true' });
  });

  it('of a topic that nobody knows is a typed error with the next step', async () => {
    const names = await start(2);
    await expect(names.topicRoute('nowhere')).rejects.toMatchObject({
      name: 'BrokerError',
      code: 'TOPIC_NOT_FOUND',
      responseCode: ResponseCode.TOPIC_NOT_EXIST,
      message: expect.stringContaining('Create the topic'),
    });
    expect(servers.map(({ asked }) => asked)).toEqual([['nowhere'], ['nowhere']]);
  });

  it('is found when one name server has forgotten it', async () => {
    const names = await start(2);
    servers[1]!.setRoute('orders', { 'broker-a': {} });
    for (let round = 0; round < 3; round++) await names.topicRoute('orders');
  });

  it('that is not JSON is a protocol violation', async () => {
    const names = await start(1);
    servers[0]!.routes.set('orders', '<html>');
    await expect(names.topicRoute('orders')).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });
});

describe('several name servers', () => {
  it('stand in for each other, and the one that answers is asked first from then on', async () => {
    const names = await start(3);
    for (const server of servers) server.setRoute('orders', { 'broker-a': {} });
    await servers[0]!.peer.stop();
    await servers[1]!.peer.stop();
    for (let round = 0; round < 5; round++) await names.topicRoute('orders');
    expect(servers[2]!.asked).toHaveLength(5);
    await servers[0]!.peer.listen();
    await servers[2]!.peer.stop();
    // The first two refused a moment ago: until their pause is over, the answer is an error that can be tried again.
    await waitFor(() => names.topicRoute('orders'), { describe: 'the one that is back' });
    expect(servers[0]!.asked).toHaveLength(1);
  });

  it('are passed over when they do not answer', async () => {
    const names = await start(2);
    servers[0]!.peer.script = () => undefined;
    servers[1]!.setRoute('orders', { 'broker-a': {} });
    await names.topicRoute('orders');
  });

  it('are passed over when they are in trouble', async () => {
    const names = await start(2);
    servers[0]!.failure = ResponseCode.SYSTEM_ERROR;
    await names.ping();
    await names.ping();
  });

  it('all down: a connection error; all refusing: what they say', async () => {
    const names = await start(2);
    for (const server of servers) server.failure = ResponseCode.NO_PERMISSION;
    await expect(names.ping()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    for (const { peer } of servers) await peer.stop();
    await expect(names.ping()).rejects.toMatchObject({ code: 'CONNECTION_FAILED', retryable: true });
  });
});

describe('the list of name servers', () => {
  it('is separated by semicolons or commas', () => {
    expect(parseNameServers(' a:1; b:2,c:3 ;')).toEqual(['a:1', 'b:2', 'c:3']);
  });

  it('must not be empty', () => {
    expect(
      () => new NameServerClient(channels, [], { requestTimeoutMs: 1, clock: systemClock, log }),
    ).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
