import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../../../lib/client/clock.js';
import { ClientInstance } from '../../../../lib/client/remoting/client-instance.js';
import type { ConsumerMember } from '../../../../lib/client/remoting/consumer-member.js';
import type { ProducerMember } from '../../../../lib/client/remoting/producer-member.js';
import { RequestCode } from '../../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode } from '../../../../lib/client/remoting/protocol/response-code.js';
import type { ConnectionState } from '../../../../lib/client/rocketmq-client.js';
import { waitFor } from '../../../support/wait-for.js';
import { frame, ScriptedPeer } from '../network/scripted-peer.js';
import { ScriptedBroker, ScriptedCluster } from './scripted-cluster.js';

interface Heartbeat {
  readonly clientID: string;
  readonly producerDataSet: readonly { groupName: string }[];
  readonly consumerDataSet: readonly { groupName: string }[];
}

describe('ClientInstance', () => {
  let cluster: ScriptedCluster;
  let instance: ClientInstance;
  const log: string[] = [];

  async function connect(intervalMs = 60_000, routePollIntervalMs = 60_000): Promise<void> {
    instance = new ClientInstance({
      nameServers: [cluster.nameServer.address],
      clientId: 'client@test',
      namespace: undefined,
      connectTimeoutMs: 500,
      requestTimeoutMs: 1_000,
      routePollIntervalMs,
      heartbeatIntervalMs: intervalMs,
      clock: systemClock,
      log: (level, message) => log.push(`${level} ${message}`),
    });
    await instance.start();
  }
  beforeEach(async () => {
    log.length = 0;
    cluster = await ScriptedCluster.start('a', 'b');
  });
  afterEach(async () => {
    await instance.close();
    await cluster.stop();
  });

  const producer = (transactional = false): ProducerMember => ({
    transactional,
    requesting: false,
    onReply: () => false,
    onCheck: () => undefined,
  });
  const consumer = (groupName: string, more: Partial<ConsumerMember> = {}): ConsumerMember => ({
    consumerData: () => ({
      groupName,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
      subscriptionDataSet: [],
      unitMode: false,
    }),
    rebalanceNow: () => undefined,
    ...more,
  });
  const heartbeatsAt = (name: string): Heartbeat[] =>
    cluster
      .broker(name)
      .requestsOf(RequestCode.HEART_BEAT)
      .map(({ body }) => JSON.parse(body.toString()) as Heartbeat);
  const groupsOf = ({ producerDataSet, consumerDataSet }: Heartbeat) => ({
    producers: producerDataSet.map(({ groupName }) => groupName).sort((x, y) => x.localeCompare(y)),
    consumers: consumerDataSet.map(({ groupName }) => groupName).sort((x, y) => x.localeCompare(y)),
  });
  /** What a broker sends by itself, over every connection it has. */
  const push = (name: string, code: number, fields: Record<string, string>, body?: Buffer) => {
    for (const { socket } of cluster.broker(name).peer.open) {
      socket.write(frame({ code, opaque: 77, fields, ...(body ? { body } : {}) }));
    }
  };

  it('announces every group in one heartbeat to every broker in use', async () => {
    await connect();
    await instance.routes.publishQueues('orders', { autoCreate: false });
    instance.registerProducer('p1', producer());
    instance.registerProducer('p2', producer());
    instance.registerConsumer('c1', consumer('c1'));

    for (const name of ['a', 'b']) {
      await waitFor(() => heartbeatsAt(name).length > 0, { describe: `a heartbeat at ${name}` });
      expect(heartbeatsAt(name)).toHaveLength(1);
      expect(heartbeatsAt(name)[0]!.clientID).toBe('client@test');
      expect(groupsOf(heartbeatsAt(name)[0]!)).toEqual({ producers: ['p1', 'p2'], consumers: ['c1'] });
    }
  });

  it('says nothing as long as there is no group', async () => {
    await connect(20);
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await instance.heartbeat();
    expect(heartbeatsAt('a')).toEqual([]);
  });

  it('repeats it every interval', async () => {
    await connect(20);
    instance.registerProducer('p', producer());
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length >= 4 && heartbeatsAt('b').length >= 4, {
      describe: 'four heartbeats at each broker',
    });
  });

  it('greets a broker that joins', async () => {
    await connect(60_000, 20);
    instance.registerProducer('p', producer());
    instance.routes.track('orders');
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length > 0 && heartbeatsAt('b').length > 0, {
      describe: 'the first heartbeats',
    });
    cluster.brokers.push(new ScriptedBroker('c', await ScriptedPeer.start()));
    await waitFor(() => heartbeatsAt('c').length > 0, { describe: 'a heartbeat at the new broker' });
    expect(heartbeatsAt('a')).toHaveLength(1);
  });

  it('greets a broker again whose connection was lost', async () => {
    await connect();
    instance.registerProducer('p', producer());
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length === 1, { describe: 'the first heartbeat' });
    for (const { socket } of cluster.broker('a').peer.open) socket.resetAndDestroy();
    await waitFor(() => heartbeatsAt('a').length === 2, { describe: 'a heartbeat over the new connection' });
  });

  it('looks for a lost broker until it is back, and tells the state', async () => {
    const states: ConnectionState[] = [];
    await connect(60_000);
    instance.onStateChange((state) => states.push(state));
    cluster.brokers.splice(1);
    instance.registerProducer('p', producer());
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length === 1, { describe: 'the first heartbeat' });
    expect(instance.state).toBe('up');

    await cluster.broker('a').peer.stop();
    await waitFor(() => instance.state === 'down', { describe: 'the state "down"' });
    expect(log.filter((line) => line.startsWith('warn') && line.includes('heartbeat'))).toHaveLength(1);

    await cluster.broker('a').peer.listen();
    await waitFor(() => instance.state === 'up', { describe: 'the state "up"' });
    expect(states).toEqual(['down', 'up']);
  });

  it('is up as long as one broker answers', async () => {
    await connect();
    instance.registerProducer('p', producer());
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('b').length > 0, { describe: 'the first heartbeat' });
    await cluster.broker('a').peer.stop();
    await cluster.nameServer.stop();
    await waitFor(() => log.some((line) => line.includes(cluster.broker('a').peer.address)), {
      describe: 'the loss of broker a in the log',
    });
    expect(await instance.checkConnection()).toBe('up');
    await cluster.broker('b').peer.stop();
    await waitFor(() => instance.state === 'down', { describe: 'the state "down"' });
    expect(await instance.checkConnection()).toBe('down');
  });

  it('goes by the name server as long as no broker is in use, and notices it by itself', async () => {
    await connect(30);
    expect(instance.state).toBe('up');
    await cluster.nameServer.stop();
    await waitFor(() => instance.state === 'down', { describe: 'the state "down"' });
    await cluster.nameServer.listen();
    await waitFor(() => instance.state === 'up', { describe: 'the state "up"' });
  });

  it('survives a state listener that throws', async () => {
    await connect();
    instance.onStateChange(() => {
      throw new Error('listener');
    });
    await cluster.nameServer.stop();
    expect(await instance.checkConnection()).toBe('down');
    expect(log.some((line) => line.startsWith('error'))).toBe(true);
  });

  it('tells every broker of the cluster about a producer that answers checks, without any topic', async () => {
    await connect();
    instance.registerProducer('tx', producer(true));
    await waitFor(() => heartbeatsAt('a').length > 0 && heartbeatsAt('b').length > 0, {
      describe: 'heartbeats at both brokers',
    });
    expect(instance.brokerNameOf(cluster.broker('b').peer.address)).toBe('b');
  });

  it('tells brokers which group leaves', async () => {
    await connect();
    instance.registerProducer('p', producer());
    instance.registerConsumer('c', consumer('c'));
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length > 0 && heartbeatsAt('b').length > 0, {
      describe: 'heartbeats',
    });

    await instance.unregisterConsumer('c');
    await instance.unregisterProducer('p');
    await instance.unregisterProducer('p');

    for (const { name } of cluster.brokers) {
      expect(
        cluster
          .broker(name)
          .requestsOf(RequestCode.UNREGISTER_CLIENT)
          .map(({ fields }) => fields),
      ).toEqual([
        { clientID: 'client@test', consumerGroup: 'c' },
        { clientID: 'client@test', producerGroup: 'p' },
      ]);
    }
  });

  it('refuses a second member of a group', async () => {
    await connect();
    instance.registerConsumer('c', consumer('c'));
    instance.registerProducer('c', producer());
    expect(() => instance.registerConsumer('c', consumer('c'))).toThrow(/consumer of group "c"/);
    expect(() => instance.registerProducer('c', producer())).toThrow(/producer of group "c"/);
  });

  describe('the members of a group', () => {
    const answer = (name: string, parts: { code?: number; remark?: string; body?: Buffer }) => {
      const { peer } = cluster.broker(name);
      const { script } = peer;
      peer.script = (request, connection) => {
        if (request.code === RequestCode.GET_CONSUMER_LIST_BY_GROUP) connection.answer(request, parts);
        else script(request, connection);
      };
    };
    const ids = (...consumerIdList: string[]) => ({ body: Buffer.from(JSON.stringify({ consumerIdList })) });

    it('come from any broker of the topic', async () => {
      await connect();
      answer('a', ids('x', 'y'));
      answer('b', ids('x', 'y'));
      expect(await instance.consumerIds('c', 'orders')).toEqual(['x', 'y']);
    });

    it('come from another broker when one is away or refuses', async () => {
      await connect();
      answer('b', ids('z'));
      answer('a', { code: ResponseCode.SYSTEM_BUSY, remark: 'busy' });
      for (let round = 0; round < 8; round++) {
        expect(await instance.consumerIds('c', 'orders')).toEqual(['z']);
      }
      await cluster.broker('a').peer.stop();
      expect(await instance.consumerIds('c', 'orders')).toEqual(['z']);
    });

    it('are none when the broker knows none', async () => {
      await connect();
      const none = { code: ResponseCode.SYSTEM_ERROR, remark: 'no consumer for this group, c' };
      answer('a', none);
      answer('b', none);
      expect(await instance.consumerIds('c', 'orders')).toEqual([]);
    });

    it('are unknown when no broker answers', async () => {
      await connect();
      await instance.routes.subscribeQueues('orders');
      for (const { peer } of cluster.brokers) await peer.stop();
      await expect(instance.consumerIds('c', 'orders')).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    });
  });

  describe('requests of brokers', () => {
    async function withConsumer(more: Partial<ConsumerMember>): Promise<void> {
      await connect();
      instance.registerConsumer('c', consumer('c', more));
      await instance.routes.publishQueues('orders', { autoCreate: false });
      await waitFor(() => heartbeatsAt('a').length > 0, { describe: 'a heartbeat' });
    }
    const answers = () => cluster.broker('a').peer.answers;

    it('pass on that the members of a group changed', async () => {
      let rebalanced = 0;
      await withConsumer({ rebalanceNow: () => rebalanced++ });
      push('a', RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: 'other' });
      push('a', RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: 'c' });
      await waitFor(() => rebalanced > 0, { describe: 'a rebalance' });
      expect(rebalanced).toBe(1);
    });

    it('pass on that an operator moved the offsets', async () => {
      const moved: unknown[] = [];
      await withConsumer({
        resetOffsets: (topic, offsets) => {
          moved.push(topic, offsets);
          return Promise.resolve();
        },
      });
      push(
        'a',
        RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
        { group: 'c', topic: 'orders', timestamp: '0', isForce: 'true' },
        Buffer.from(
          '{"offsetTable":{{"brokerName":"a","queueId":0,"topic":"orders"}:12,{"brokerName":"a","queueId":1,"topic":"orders"}:7}}',
        ),
      );
      await waitFor(() => moved.length > 0, { describe: 'the new offsets' });
      expect(moved).toEqual([
        'orders',
        [
          { queue: { topic: 'orders', brokerName: 'a', queueId: 0 }, offset: 12 },
          { queue: { topic: 'orders', brokerName: 'a', queueId: 1 }, offset: 7 },
        ],
      ]);
    });

    it('answer where a member stands, and how it does', async () => {
      await withConsumer({
        offsetsStatus: (topic) => [{ queue: { topic, brokerName: 'a', queueId: 3 }, offset: 5 }],
        runningInfo: () => Buffer.from('{"properties":{"threads":"1"}}'),
      });
      push('a', RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, { group: 'c', topic: 'orders' });
      push('a', RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: 'c', clientId: 'client@test' });
      push('a', RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: 'unknown', clientId: 'x' });
      await waitFor(() => answers().length === 3, { describe: 'three answers' });
      expect(answers().map(({ code, body }) => [code, body.toString()])).toEqual([
        [
          ResponseCode.SUCCESS,
          '{"consumerTable":{},"messageQueueTable":{{"brokerName":"a","queueId":3,"topic":"orders"}:5}}',
        ],
        [ResponseCode.SUCCESS, '{"properties":{"threads":"1"}}'],
        [ResponseCode.SYSTEM_ERROR, ''],
      ]);
    });

    it('survive a half message that cannot be read, and one of an unknown group', async () => {
      await withConsumer({});
      push('a', RequestCode.CHECK_TRANSACTION_STATE, {}, Buffer.from('nonsense'));
      push('a', RequestCode.CHECK_TRANSACTION_STATE, {});
      await waitFor(() => log.filter((line) => line.includes('half message')).length === 2, {
        describe: 'two lines in the log',
      });
      expect(await instance.checkConnection()).toBe('up');
    });
  });

  it('leaves no socket, timer or request behind when it is closed', async () => {
    const before = process.getActiveResourcesInfo().length;
    await connect(20, 20);
    instance.registerProducer('p', producer());
    instance.routes.track('orders');
    await instance.routes.publishQueues('orders', { autoCreate: false });
    await waitFor(() => heartbeatsAt('a').length > 1, { describe: 'heartbeats' });

    await instance.close();
    await instance.close();

    await waitFor(() => cluster.nameServer.open.length + cluster.broker('a').peer.open.length === 0, {
      describe: 'the connections to be closed',
    });
    const heard = heartbeatsAt('a').length;
    expect(instance.channels.pendingRequests).toBe(0);
    expect(instance.state).toBe('closed');
    await waitFor(() => process.getActiveResourcesInfo().length <= before, {
      describe: () => process.getActiveResourcesInfo().join(),
    });
    expect(heartbeatsAt('a')).toHaveLength(heard);
    expect(() => instance.registerProducer('late', producer())).toThrow(/closed/);
  });
});
