import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseLenientJson } from '../../../../lib/client/remoting/protocol/lenient-json.js';
import { parseQueueMap, toMessageQueue } from '../../../../lib/client/remoting/protocol/queue-map.js';
import { parseClusterInfo, parseTopicRoute } from '../../../../lib/client/remoting/protocol/route-data.js';
import {
  toSubscribeQueues,
  toTopicPublishInfo,
} from '../../../../lib/client/remoting/route/topic-publish-info.js';
import { vectors } from './wire-vectors.js';

const routeBodies = vectors.routes.flatMap((route) =>
  Object.entries(route.bodies).map(([style, body]) => ({ ...route, style, body })),
);

describe('route data', () => {
  it.each(routeBodies)('$name, $style: queues to publish and to subscribe equal Java', (vector) => {
    const route = parseTopicRoute(Buffer.from(vector.body));
    const names = (queues: readonly { brokerName: string; queueId: number }[]): string[] =>
      queues.map(({ brokerName, queueId }) => `${brokerName}:${queueId}`);
    expect(names(toTopicPublishInfo('orders', route, false).queues)).toEqual(vector.publish);
    expect(names(toSubscribeQueues('orders', route))).toEqual(vector.subscribe);
  });

  it('has the addresses by broker id, whichever way the ids are written', () => {
    const [first] = vectors.routes;
    const routes = Object.values(first!.bodies).map((body) => parseTopicRoute(Buffer.from(body)));
    expect(routes.length).toBeGreaterThan(1);
    for (const { brokerDatas } of routes) {
      expect(brokerDatas.map(({ brokerName, brokerAddrs }) => [brokerName, [...brokerAddrs]])).toEqual([
        ['broker-a', [[0, '10.0.0.1:10911']]],
        [
          'broker-b',
          [
            [0, '10.0.0.2:10911'],
            [1, '10.0.0.3:10911'],
          ],
        ],
      ]);
    }
  });

  it.each([
    '',
    '[]',
    'null',
    '{"queueDatas":[{}]}',
    '{"queueDatas":[{"brokerName":"a","perm":"6"}]}',
    '<html>',
  ])('refuses %s', (body) => {
    expect(() => parseTopicRoute(Buffer.from(body))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  });
});

describe('cluster info', () => {
  it.each(Object.entries(vectors.clusterInfo))('%s', (_style, body) => {
    const info = parseClusterInfo(Buffer.from(body));
    expect(
      info.brokers.map(({ brokerName, cluster, brokerAddrs }) => [brokerName, cluster, brokerAddrs.size]),
    ).toEqual([
      ['broker-a', 'DefaultCluster', 1],
      ['broker-b', 'DefaultCluster', 2],
    ]);
    expect([...info.clusters]).toEqual([['DefaultCluster', ['broker-a', 'broker-b']]]);
  });
});

describe('maps with message queues as keys', () => {
  const bodies = vectors.queueMaps.flatMap(({ name, bodies: byStyle }) =>
    Object.entries(byStyle).map(([style, body]) => ({ name, style, body })),
  );
  const withTable = bodies.filter(({ name }) => name !== 'LockBatchResponseBody');

  it.each(withTable)('$name, $style', ({ name, body }) => {
    const entries = parseQueueMap(Buffer.from(body), 'offsetTable');
    expect(entries.map(({ queue }) => queue)).toEqual(
      expect.arrayContaining([
        { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
        { topic: 'orders', brokerName: 'broker-b', queueId: 3 },
      ]),
    );
    expect(entries).toHaveLength(2);
    if (name === 'ResetOffsetBody') {
      expect(entries.map(({ value }) => value)).toEqual(expect.arrayContaining([7, 5_000_000_000_123]));
    }
  });

  it.each(bodies.filter(({ name }) => name === 'LockBatchResponseBody'))('$name, $style', ({ body }) => {
    const { lockOKMQSet } = parseLenientJson(body) as { lockOKMQSet: [] };
    expect(lockOKMQSet.map(toMessageQueue)).toHaveLength(2);
  });

  it('are empty when the body has none', () => {
    expect(parseQueueMap(Buffer.from('{}'), 'offsetTable')).toEqual([]);
    expect(parseQueueMap(Buffer.from('{"offsetTable":{}}'), 'offsetTable')).toEqual([]);
  });

  it('with another key are refused', () => {
    expect(() => parseQueueMap(Buffer.from('{"offsetTable":{{"topic":"t"}:1}}'), 'offsetTable')).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  });
});

describe('the lenient parser', () => {
  it('reads standard JSON as JSON.parse does', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value, undefined, 1);
        expect(parseLenientJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it('answers every other text with a typed error', { timeout: 60_000 }, () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '0', '-', '\\', 'null', ' ', 'e', '.'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          parseLenientJson(given);
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'PROTOCOL_VIOLATION') throw error;
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it('stays off the stack with hostile nesting', () => {
    for (const open of ['[', '{{', '{"a":']) {
      expect(() => parseLenientJson(open.repeat(100_000))).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
      );
    }
  });
});
