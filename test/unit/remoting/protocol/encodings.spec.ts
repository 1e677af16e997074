import { afterEach, describe, expect, it } from 'vitest';
import { topicSubscription } from '../../../../lib/client/consumer/topic-subscription.js';
import { encodeBatch } from '../../../../lib/client/remoting/protocol/batch-encoder.js';
import { encodeHeartbeat } from '../../../../lib/client/remoting/protocol/heartbeat-data.js';
import { javaStringHashCode } from '../../../../lib/client/remoting/protocol/java-hash.js';
import {
  decodeProperties,
  encodeProperties,
} from '../../../../lib/client/remoting/protocol/message-properties.js';
import { parseHost } from '../../../../lib/client/remoting/protocol/socket-address.js';
import { subscriptionDataOf } from '../../../../lib/client/remoting/protocol/subscription-data.js';
import {
  decodeOffsetMessageId,
  encodeOffsetMessageId,
  UniqueKeyGenerator,
} from '../../../../lib/client/remoting/protocol/unique-key.js';
import { hostHex, vectors } from './wire-vectors.js';

describe('message properties', () => {
  it.each(vectors.properties)('$text reads as in Java', ({ text, decoded }) => {
    expect(decodeProperties(text)).toEqual(decoded);
  });

  it.each(vectors.properties.filter(({ encoded }) => encoded !== undefined))(
    '$text is written as in Java',
    ({ text, encoded = {} }) => {
      expect(encodeProperties(encoded)).toBe(text);
    },
  );

  it('leave out what is undefined', () => {
    expect(encodeProperties({ TAGS: undefined, KEYS: 'k' })).toBe('KEYS\u0001k\u0002');
  });

  it('named like a part of every object stay properties', () => {
    const properties = decodeProperties('__proto__\u0001x\u0002constructor\u0001y\u0002');
    expect(Object.entries(properties)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf(properties)).toBe(Object.prototype);
  });
});

describe('a batch', () => {
  it.each(vectors.batches)('is written as in Java: $messages.length messages', ({ messages, bytes }) => {
    const encoded = encodeBatch(messages.map((each) => ({ ...each, body: Buffer.from(each.body, 'hex') })));
    expect(encoded.toString('hex')).toBe(bytes);
  });

  it('refuses properties beyond the 16-bit length', () => {
    expect(() => encodeBatch([{ flag: 0, body: Buffer.from('x'), properties: 'ü'.repeat(16_384) }])).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    );
  });
});

describe('hash codes', () => {
  it.each(Object.entries(vectors.hashCodes))('of "%s" equals Java', (text, code) => {
    expect(javaStringHashCode(text)).toBe(code);
  });
});

describe('offset message ids', () => {
  it.each(vectors.offsetMessageIds)('$id of $host', ({ host, address, commitLogOffset, id }) => {
    const storeHost = host.includes(':') ? `[${host}]:10911` : `${host}:10911`;
    expect(encodeOffsetMessageId(storeHost, commitLogOffset)).toBe(id);
    const decoded = decodeOffsetMessageId(id);
    expect(decoded.commitLogOffset).toBe(commitLogOffset);
    expect(hostHex(decoded.address, parseHost)).toBe(address);
  });

  it.each(['', 'xyz', '00'.repeat(15), `${'0'.repeat(31)}g`, 'FF'.repeat(16)])('"%s" is none', (id) => {
    expect(() => decodeOffsetMessageId(id)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('need a numeric host', () => {
    expect(() => encodeOffsetMessageId('broker.example:10911', 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('unique keys', () => {
  const zone = process.env['TZ'];
  afterEach(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });

  /** Address, process, time and counter of a key, cut as Java's layout says. */
  function parts(
    key: string,
    addressBytes: number,
  ): { ip: string; pid: number; ms: number; counter: number } {
    const bytes = Buffer.from(key, 'hex');
    return {
      ip: bytes.toString('hex', 0, addressBytes),
      pid: bytes.readUInt16BE(addressBytes),
      ms: bytes.readUInt32BE(addressBytes + 6),
      counter: bytes.readUInt16BE(addressBytes + 10),
    };
  }

  it.each(vectors.uniqueKeys)('have the layout of Java: $id', ({ id, ip, pid, madeAt }) => {
    process.env['TZ'] = 'UTC';
    const address = Buffer.from(ip, 'hex');
    const java = parts(id, address.length);
    expect(java).toMatchObject({ ip, pid });
    const monthStart = madeAt - java.ms;
    const ours = new UniqueKeyGenerator({ now: () => monthStart + java.ms }, address).next();
    expect(ours).toHaveLength(id.length);
    expect(ours).toMatch(/^[0-9A-F]+$/);
    expect(parts(ours, address.length)).toEqual({ ip, pid: process.pid & 0xffff, ms: java.ms, counter: 0 });
  });

  it('count the milliseconds of the month, also after the 25th, where they exceed 31 bits', () => {
    process.env['TZ'] = 'UTC';
    const at = Date.UTC(2024, 0, 31, 23, 59, 59, 999);
    const generator = new UniqueKeyGenerator({ now: () => at }, Buffer.from([10, 0, 0, 1]));
    expect(parts(generator.next(), 4).ms).toBe(at - Date.UTC(2024, 0, 1));
  });

  it('start over with the month', () => {
    process.env['TZ'] = 'UTC';
    let now = Date.UTC(2024, 0, 31, 23, 59, 59, 999);
    const generator = new UniqueKeyGenerator({ now: () => now }, Buffer.from([10, 0, 0, 1]));
    generator.next();
    now += 2;
    expect(parts(generator.next(), 4)).toMatchObject({ ms: 1, counter: 1 });
  });

  it('of one process never repeat within a millisecond, nor when the clock stands still', () => {
    const generator = new UniqueKeyGenerator({ now: () => 1_700_000_000_000 });
    const keys = new Set(Array.from({ length: 65_536 }, () => generator.next()));
    expect(keys.size).toBe(65_536);
  });

  it('of two generators differ although address, process and time are the same', () => {
    const clock = { now: () => 1_700_000_000_000 };
    const address = Buffer.from([10, 0, 0, 1]);
    expect(new UniqueKeyGenerator(clock, address).next()).not.toBe(
      new UniqueKeyGenerator(clock, address).next(),
    );
  });
});

describe('subscriptions', () => {
  it.each(vectors.subscriptions)('$type "$expression" as Java builds it', ({ type, expression, data }) => {
    const filter = { type: type === 'TAG' ? ('tag' as const) : ('sql92' as const), expression };
    const built = subscriptionDataOf(topicSubscription(data.topic, filter, data.subVersion));
    // In Java both are sets, in no particular order.
    expect({ ...built, tagsSet: new Set(built.tagsSet), codeSet: new Set(built.codeSet) }).toEqual({
      ...data,
      tagsSet: new Set(data.tagsSet),
      codeSet: new Set(data.codeSet),
    });
  });

  it.each([
    { type: 'tag', expression: ' || ' },
    { type: 'sql92', expression: ' ' },
  ] as const)('$type without content is refused', (filter) => {
    expect(() => topicSubscription('orders', filter, 1)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('a heartbeat', () => {
  it('is what Java sends', () => {
    const body = encodeHeartbeat({
      clientId: '10.0.0.1@instance',
      producerGroups: ['orders'],
      consumers: [
        {
          groupName: 'inventory',
          consumeType: 'CONSUME_PASSIVELY',
          messageModel: 'CLUSTERING',
          consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
          unitMode: false,
          subscriptionDataSet: [
            subscriptionDataOf(
              topicSubscription('orders', { type: 'tag', expression: 'a||b' }, 1_700_000_000_123),
            ),
          ],
        },
      ],
    });
    expect(JSON.parse(body.toString())).toEqual(vectors.heartbeat);
  });
});
