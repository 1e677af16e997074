import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';

import { createRocketMQClient } from '../../../../lib/client/client-factory.js';
import { ACK } from '../../../../lib/client/push-consumer.js';
import { selectQueueByHash, selectQueueRandomly } from '../../../../lib/client/queue-selectors.js';
import type { ClientOptions, RocketMQClient } from '../../../../lib/client/rocketmq-client.js';
import { javaStringHashCode } from '../../../../lib/client/remoting/protocol/java-hash.js';
import { waitFor } from '../../../support/wait-for.js';

describe('createRocketMQClient', () => {
  it.each<[string, ClientOptions, RegExp]>([
    ['nothing', {}, /nameServer.*endpoints.*engine/],
    ['a name server and endpoints', { nameServer: 'a:1', endpoints: 'b:2' }, /nameServer and endpoints/],
    ['a name server and an engine', { nameServer: 'a:1', engine: 'memory' }, /nameServer and engine/],
    ['an empty name server', { nameServer: ' ' }, /host:9876/],
    ['a name server without port', { nameServer: 'localhost' }, /"localhost" is no address/],
    ['one wrong of several', { nameServer: 'a:9876;b' }, /"b" is no address/],
    ['a URL', { nameServer: 'http://a:9876' }, /no address/],
  ])('refuses %s', (_, options, reason) => {
    expect(() => createRocketMQClient(options)).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringMatching(reason),
      }),
    );
  });

  it('says that the gRPC engine is not there yet', () => {
    expect(() => createRocketMQClient({ endpoints: 'localhost:8081' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringContaining('nameServer') }),
    );
  });

  it('takes several name servers, also with commas, spaces and IPv6', async () => {
    const client = createRocketMQClient({ nameServer: ' a:9876 ; b:9876,[::1]:9876' });
    expect(client.engine).toBe('remoting');
    expect(client.state).toBe('connecting');
    expect(client.capabilities.has('transaction')).toBe(true);
    await client.close();
    await client.close();
  });

  it('names every client differently, or as told', async () => {
    const clients = [1, 2].map(() => createRocketMQClient({ nameServer: 'a:1' }));
    const named = createRocketMQClient({ nameServer: 'a:1', instanceName: 'blue' });
    expect(clients[0]!.clientId).not.toBe(clients[1]!.clientId);
    expect(named.clientId).toMatch(/^[\d.]+@blue$/);
    await Promise.all([...clients, named].map((client) => client.close()));
  });

  it.each([
    [{ sendTimeoutMs: 0 }, 'sendTimeoutMs'],
    [{ maxAttempts: 0 }, 'maxAttempts'],
    [{ maxAttempts: 1.5 }, 'maxAttempts'],
    [{ maxInFlight: -1 }, 'maxInFlight'],
    [{ maxMessageSize: Number.NaN }, 'maxMessageSize'],
    [{ compressAboveBytes: -1 }, 'compressAboveBytes'],
  ])('refuses the producer option %o', async (options, name) => {
    const client = createRocketMQClient({ nameServer: 'a:1' });
    expect(() => client.createProducer({ group: 'g', ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(name) }),
    );
    expect(() => client.createProducer({ group: 'not a group' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    await client.close();
  });
});

describe('a client', () => {
  it('keeps nothing of the producers and consumers that were closed before it', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const client = createRocketMQClient({ nameServer: 'a:1' });
    const closed: WeakRef<object>[] = [];
    for (let index = 0; index < 20; index++) closed.push(...(await openAndClose(client, `g${index}`)));
    await waitFor(() => {
      collectGarbage();
      return closed.every((reference) => reference.deref() === undefined);
    });
    await client.close();
  });
});

/** In a function of its own, whose variables are gone when it ends. */
async function openAndClose(client: RocketMQClient, group: string): Promise<WeakRef<object>[]> {
  const members = [
    client.createProducer({ group }),
    client.createPushConsumer({ group, subscriptions: [{ topic: 't' }], handler: async () => ACK }),
    client.createPullConsumer({ group }),
  ];
  for (const member of members) await member.close();
  return members.map((member) => new WeakRef(member));
}

describe('queue selectors', () => {
  const queues = Array.from({ length: 5 }, (_, queueId) => ({ topic: 't', brokerName: 'a', queueId }));
  const message = { topic: 't', body: Buffer.from('x') };

  it('choose by hash what Java chooses', () => {
    // "polygenelubricants" hashes to the smallest integer, whose absolute value is no int.
    for (const key of ['', 'a', 'order-4711', '中文', '🚀', 'polygenelubricants']) {
      const expected = Math.abs(javaStringHashCode(key) % queues.length);
      expect(selectQueueByHash(queues, message, key).queueId).toBe(expected);
    }
    expect(javaStringHashCode('polygenelubricants')).toBe(-2_147_483_648);
  });

  it('choose randomly among all', () => {
    const seen = new Set(
      Array.from({ length: 500 }, () => selectQueueRandomly(queues, message, 'key').queueId),
    );
    expect(seen.size).toBe(5);
  });
});
