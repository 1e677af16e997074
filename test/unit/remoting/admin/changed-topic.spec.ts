import { afterEach, describe, expect, it } from 'vitest';
import { createRocketMQClient } from '../../../../lib/client/client-factory.js';
import { RequestCode } from '../../../../lib/client/remoting/protocol/request-code.js';
import type { RocketMQClient } from '../../../../lib/client/rocketmq-client.js';
import { echo, ScriptedPeer } from '../network/scripted-peer.js';
import { NameServerPeer } from '../route/name-server-peer.js';

const TOPIC = 'orders';

let closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A name server that hears of a changed topic only with the given update. */
async function start(reportedUpdate: number): Promise<{ client: RocketMQClient; updates: () => number }> {
  const broker = await ScriptedPeer.start();
  const names = await NameServerPeer.start();
  closing = [() => broker.stop(), () => names.peer.stop()];
  const addresses = { 0: broker.address };
  names.setRoute(TOPIC, { 'broker-a': { read: 4, write: 4, addresses } });
  let updates = 0;
  broker.script = (request, connection) => {
    if (request.code === RequestCode.UPDATE_AND_CREATE_TOPIC && ++updates === reportedUpdate) {
      const queues = Number(request.fields['readQueueNums']);
      names.setRoute(TOPIC, { 'broker-a': { read: queues, write: queues, addresses } });
    }
    echo(request, connection);
  };
  const routes = names.peer.script;
  names.peer.script = (request, connection) => {
    if (request.code !== RequestCode.GET_BROKER_CLUSTER_INFO) return routes(request, connection);
    const brokerData = { brokerName: 'broker-a', cluster: 'DefaultCluster', brokerAddrs: addresses };
    const body = {
      brokerAddrTable: { 'broker-a': brokerData },
      clusterAddrTable: { DefaultCluster: ['broker-a'] },
    };
    connection.answer(request, { body: Buffer.from(JSON.stringify(body)) });
  };
  const client = createRocketMQClient({ nameServer: names.address });
  closing.push(() => client.close());
  await client.start();
  return { client, updates: () => updates };
}

describe('a topic that gets more queues', () => {
  it('is changed when the name server lists them', async () => {
    const { client, updates } = await start(1);
    await client.admin.createTopic(TOPIC, { queues: 6 });
    expect(updates()).toBe(1);
  });

  it('is changed once more when the name server dropped the report', async () => {
    const { client, updates } = await start(2);
    await client.admin.createTopic(TOPIC, { queues: 6 });
    expect(updates()).toBe(2);
  });
});
