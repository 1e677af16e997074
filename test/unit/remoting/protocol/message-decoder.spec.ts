import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';

import {
  decodeMessages,
  type DecodedMessage,
  type StoredMessage,
} from '../../../../lib/client/remoting/protocol/message-decoder.js';
import { toReceivedMessage } from '../../../../lib/client/remoting/protocol/received-message.js';
import { parseHost } from '../../../../lib/client/remoting/protocol/socket-address.js';
import { hostHex, vectors, type MessageVector } from './wire-vectors.js';

/** ZSTD needs Node 22.15 or an optional package. */
const zstdAvailable = 'zstdDecompressSync' in (await import('node:zlib'));
const COMPRESSED = 0x1;
const ZSTD = 0x200;
const COMPRESSION_TYPE = 0x700;

function isZstd({ storedSysFlag }: MessageVector): boolean {
  return (storedSysFlag & COMPRESSION_TYPE) === ZSTD;
}

// ZSTD is read by Node itself, or by the package fzstd, which is installed for development.
const readable = vectors.messages;
const plain = vectors.messages.filter(({ storedSysFlag }) => (storedSysFlag & COMPRESSED) === 0);

function bytesOf(...list: readonly MessageVector[]): Buffer {
  return Buffer.concat(list.map(({ bytes }) => Buffer.from(bytes, 'hex')));
}

function stored(message: DecodedMessage | undefined): StoredMessage {
  if (message === undefined || message.error !== undefined) throw message?.error ?? new Error('no message');
  return message;
}

describe('stored messages as a broker lays them out', () => {
  it.each(readable)(
    'are decoded as Java decodes them: sysFlag $storedSysFlag from $bornHost at $storeHost, $storeSize bytes',
    (vector) => {
      const [message, ...none] = decodeMessages(bytesOf(vector));
      expect(none).toEqual([]);
      const decoded = stored(message);
      expect({
        ...decoded,
        bornHost: hostHex(decoded.bornHost, parseHost),
        storeHost: hostHex(decoded.storeHost, parseHost),
        body: decoded.body.toString('hex'),
      }).toEqual({
        topic: vector.topic,
        queueId: vector.queueId,
        flag: vector.flag,
        queueOffset: vector.queueOffset,
        commitLogOffset: vector.commitLogOffset,
        sysFlag:
          (vector.storedSysFlag & COMPRESSED) === 0
            ? vector.storedSysFlag
            : vector.storedSysFlag & ~(COMPRESSED | COMPRESSION_TYPE),
        bornTimestamp: vector.bornTimestamp,
        bornHost: vector.bornHost,
        storeTimestamp: vector.storeTimestamp,
        storeHost: vector.storeHost,
        reconsumeTimes: vector.reconsumeTimes,
        preparedTransactionOffset: vector.preparedTransactionOffset,
        body: vector.body,
        bodyCrc: vector.bodyCrc,
        properties: vector.properties ?? {},
        storeSize: vector.storeSize,
        offsetMessageId: vector.offsetMessageId,
      });
    },
  );

  it('come many in one body, in order', () => {
    expect(decodeMessages(bytesOf(...readable)).map((each) => stored(each).offsetMessageId)).toEqual(
      readable.map(({ offsetMessageId }) => offsetMessageId),
    );
  });

  it('keep body and compression flags when they are not to be decompressed', () => {
    const compressed = vectors.messages.find(isZstd) as MessageVector;
    const message = stored(decodeMessages(bytesOf(compressed), { decompress: false })[0]);
    expect(message.sysFlag).toBe(compressed.storedSysFlag);
    expect(message.body.toString('hex')).not.toBe(compressed.body);
  });

  it.skipIf(zstdAvailable)('name the missing decoder when one is compressed with ZSTD', () => {
    const compressed = vectors.messages.find(isZstd) as MessageVector;
    const decoder = new URL('../../../../lib/client/remoting/protocol/message-decoder.ts', import.meta.url)
      .href;
    // In a process of its own, in a folder where no package is found.
    const program = `import(${JSON.stringify(decoder)}).then(({ decodeMessages }) => {
      const [message] = decodeMessages(Buffer.from(${JSON.stringify(bytesOf(compressed).toString('hex'))}, 'hex'));
      console.log(message.error?.code + ': ' + message.error?.message);
    })`;
    const printed = execFileSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program],
      { cwd: tmpdir(), encoding: 'utf8' },
    );
    expect(printed).toMatch(/^UNSUPPORTED: .*"fzstd"/);
  });
});

describe('a stored message that cannot be read', () => {
  const [first, second, third] = [plain[0], plain[1], plain[2]] as [
    MessageVector,
    MessageVector,
    MessageVector,
  ];

  it('leaves its neighbours alone and tells where it lies', () => {
    const bytes = bytesOf(first, second, third);
    bytes.writeInt32BE(12345, first.storeSize + 4); // its magic code
    const decoded = decodeMessages(bytes);
    expect(decoded.map(({ error }) => error?.code)).toEqual([undefined, 'PROTOCOL_VIOLATION', undefined]);
    expect(decoded[1]).toMatchObject({
      queueId: second.queueId,
      queueOffset: second.queueOffset,
      commitLogOffset: second.commitLogOffset,
    });
  });

  it('is noticed by the CRC of its body', () => {
    const bytes = bytesOf(first, second);
    const bodyAt = first.storeSize - (2 + 1 + 'orders'.length) - 1;
    bytes.writeUInt8((bytes[bodyAt] ?? 0) ^ 0xff, bodyAt);
    const decoded = decodeMessages(bytes);
    expect(decoded[0]?.error).toMatchObject({
      code: 'PROTOCOL_VIOLATION',
      message: expect.stringContaining('CRC'),
    });
    expect(decoded[1]?.error).toBeUndefined();
    expect(decodeMessages(bytes, { checkCrc: false })[0]?.error).toBeUndefined();
  });

  it('stands for the rest of the body when its size is broken too', () => {
    const bytes = bytesOf(first, second, third);
    bytes.writeInt32BE(-5, first.storeSize);
    const decoded = decodeMessages(bytes);
    expect(decoded).toHaveLength(2);
    expect(decoded[1]).toMatchObject({
      error: { code: 'PROTOCOL_VIOLATION' },
      queueOffset: second.queueOffset,
    });
  });

  it('may be cut off anywhere', () => {
    const bytes = bytesOf(first);
    for (let length = 1; length < bytes.length; length++) {
      const decoded = decodeMessages(bytes.subarray(0, length));
      expect(decoded).toHaveLength(1);
      expect(decoded[0]?.error?.code).toBe('PROTOCOL_VIOLATION');
    }
  });
});

describe('a received message', () => {
  const rich = plain.find(({ properties }) => properties !== null) as MessageVector;
  const base = stored(decodeMessages(bytesOf(rich))[0]);

  it('shows keys, tag, unique key, attempt and the headers of the user', () => {
    expect(toReceivedMessage(base, 'broker-a')).toMatchObject({
      topic: 'orders',
      brokerName: 'broker-a',
      keys: ['k1', 'k2'],
      tag: 'created',
      headers: { shop: 'Köln' },
      messageId: rich.properties?.['UNIQ_KEY'],
      attempt: rich.reconsumeTimes + 1,
      orderingKey: undefined,
    });
  });

  it('of a redelivery has the topic it was sent to', () => {
    const redelivered: StoredMessage = {
      ...base,
      topic: '%RETRY%inventory',
      properties: { ...base.properties, RETRY_TOPIC: 'orders' },
    };
    const received = toReceivedMessage(redelivered, 'broker-a');
    expect(received.topic).toBe('orders');
    expect(received.headers).toEqual({ shop: 'Köln' });
  });

  it('of a transaction has its id, also from brokers that do not store it', () => {
    const { UNIQ_KEY: messageId } = base.properties;
    const transactionOf = (properties: Record<string, string>): string | undefined =>
      toReceivedMessage({ ...base, properties: { ...base.properties, ...properties } }, 'broker-a')
        .transactionId;
    expect(transactionOf({ TRAN_MSG: 'true' })).toBe(messageId);
    expect(transactionOf({ TRAN_MSG: 'true', __transactionId__: 'stored' })).toBe('stored');
    expect(transactionOf({})).toBeUndefined();
  });

  it('without a unique key is known by where it is stored', () => {
    const bare: StoredMessage = { ...base, properties: {} };
    expect(toReceivedMessage(bare, 'broker-a')).toMatchObject({
      messageId: base.offsetMessageId,
      keys: [],
      headers: {},
      tag: undefined,
    });
  });
});
