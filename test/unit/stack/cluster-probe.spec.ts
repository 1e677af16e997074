import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  missingForUse,
  nameServerAnswers,
  parseLenientJson,
  registeredBrokers,
} from '../../../scripts/stack/cluster-probe.js';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** Answers requests by their code, in two pieces, as a slow network would. */
async function respond(bodies: Readonly<Record<number, string>>): Promise<string> {
  const server = createServer((socket) => {
    socket.on('data', (frame) => {
      const request = JSON.parse(frame.toString('utf8', 8, 8 + frame.readInt32BE(4))) as { code: number };
      const body = bodies[request.code];
      const header = Buffer.from(JSON.stringify({ code: body === undefined ? 17 : 0, opaque: 1, flag: 1 }));
      const reply = Buffer.alloc(8);
      reply.writeInt32BE(4 + header.length + Buffer.byteLength(body ?? ''), 0);
      reply.writeInt32BE(header.length, 4);
      socket.write(Buffer.concat([reply, header.subarray(0, 5)]));
      setImmediate(() => socket.write(Buffer.concat([header.subarray(5), Buffer.from(body ?? '')])));
    });
    socket.on('error', () => {});
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

const CLUSTER_INFO = 106;
const ROUTE = 105;
const RUNTIME_INFO = 28;

describe('asking whether a broker can be used', () => {
  it('reads maps as old brokers print them', () => {
    expect(parseLenientJson('{"a":{0:"127.0.0.1:10911",-1:"x"}}')).toEqual({
      a: { '0': '127.0.0.1:10911', '-1': 'x' },
    });
  });

  it('is no while no name server is there', async () => {
    expect(await nameServerAnswers('127.0.0.1:1')).toBe(false);
    expect(await registeredBrokers('127.0.0.1:1')).toEqual(new Map());
  });

  it('is no while the broker is registered under another address: it is somebody else', async () => {
    const nameServer = await respond({
      [CLUSTER_INFO]: '{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:1"}}}}',
    });
    expect(
      await missingForUse(nameServer, { brokerName: 'broker-a', brokerId: 0, address: '127.0.0.1:2' }),
    ).toMatch(/not registered/);
  });

  it('is no while there is no route to it, and yes when it is registered, routed and answers', async () => {
    const address = await respond({ [RUNTIME_INFO]: '{}' });
    const table = `{"broker-a":{"brokerAddrs":{0:"${address}"}}}`;
    const broker = { brokerName: 'broker-a', brokerId: 0, address };
    const withoutRoute = await respond({ [CLUSTER_INFO]: `{"brokerAddrTable":${table}}` });
    expect(await missingForUse(withoutRoute, broker)).toMatch(/no route/);
    const complete = await respond({
      [CLUSTER_INFO]: `{"brokerAddrTable":${table}}`,
      [ROUTE]: `{"brokerDatas":[{"brokerName":"broker-a","brokerAddrs":{0:"${address}"}}]}`,
    });
    expect(await missingForUse(complete, broker)).toBeUndefined();
  });
});
