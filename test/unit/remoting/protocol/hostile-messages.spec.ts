import { deflateSync } from 'node:zlib';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeBatch } from '../../../../lib/client/remoting/protocol/batch-encoder.js';
import {
  compress,
  compressInBackground,
  decompress,
  MAX_DECOMPRESSED_BYTES,
  ZLIB_SYS_FLAG,
} from '../../../../lib/client/remoting/protocol/compression.js';
import { decodeInnerBatch } from '../../../../lib/client/remoting/protocol/inner-batch.js';
import { decompressLz4Frame } from '../../../../lib/client/remoting/protocol/lz4-frame.js';
import {
  decodeMessages,
  type StoredMessage,
} from '../../../../lib/client/remoting/protocol/message-decoder.js';
import {
  decodeProperties,
  encodeProperties,
} from '../../../../lib/client/remoting/protocol/message-properties.js';
import { MessageSysFlag } from '../../../../lib/client/remoting/protocol/message-sys-flag.js';
import { vectors } from './wire-vectors.js';

const stored = vectors.messages.map(({ bytes }) => Buffer.from(bytes, 'hex'));
const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }) as Error;

describe('stored messages with broken bytes', { timeout: 120_000 }, () => {
  it('become typed errors, never exceptions, and every byte is accounted for', () => {
    const mutation = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
    const bodies = fc
      .tuple(
        fc.array(fc.constantFrom(...stored), { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { minLength: 1, maxLength: 6 }),
      )
      .map(([messages, mutations]) => {
        const body = Buffer.concat(messages);
        for (const [at, value] of mutations) body[at % body.length] = value;
        return body;
      });
    fc.assert(
      fc.property(fc.oneof(bodies, anyBytes), (body) => {
        let seen = 0;
        for (const message of decodeMessages(body)) {
          seen += message.error === undefined ? message.storeSize : message.raw.length;
          const code = message.error?.code;
          if (code !== undefined && code !== 'PROTOCOL_VIOLATION' && code !== 'UNSUPPORTED')
            throw message.error;
        }
        if (seen !== body.length) throw new Error(`${seen} of ${body.length} bytes`);
      }),
      { numRuns: 50_000 },
    );
  });
});

describe('compressed bodies', () => {
  it('with zlib survive the round trip, in the foreground and in the background', async () => {
    const body = Buffer.from('Grüße '.repeat(1_000));
    const compressed = compress(body);
    expect(compressed.length).toBeLessThan(body.length / 10);
    expect(await compressInBackground(body)).toEqual(compressed);
    expect(decompress(compressed, ZLIB_SYS_FLAG).equals(body)).toBe(true);
    expect(decompress(compressed, MessageSysFlag.COMPRESSED).equals(body)).toBe(true);
  });

  it('that would fill the memory are refused', () => {
    const bomb = deflateSync(Buffer.alloc(MAX_DECOMPRESSED_BYTES + 1));
    expect(bomb.length).toBeLessThan(100_000);
    expect(() => decompress(bomb, ZLIB_SYS_FLAG)).toThrow(violation);
  });

  it('of an unknown type name it', () => {
    expect(() => decompress(Buffer.from('x'), 0x701)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
  });

  it('in LZ4 are bounded and never read beyond their end', { timeout: 60_000 }, () => {
    const frames = vectors.messages
      .filter(({ storedSysFlag }) => (storedSysFlag & MessageSysFlag.COMPRESSION_TYPE_COMPARATOR) === 0x100)
      .map((vector) => {
        const [message] = decodeMessages(Buffer.from(vector.bytes, 'hex'), { decompress: false });
        return (message as StoredMessage).body;
      });
    expect(frames.length).toBeGreaterThan(0);
    const mutated = fc
      .tuple(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 60 }),
      )
      .map(([frame, mutations, cut]) => {
        const bytes = Buffer.from(frame.subarray(0, frame.length - cut));
        for (const [at, value] of mutations) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(mutated, (bytes) => {
        try {
          const { length } = decompressLz4Frame(bytes, 4_096);
          if (length > 4_096) throw new Error(`${length} bytes`);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
        }
      }),
      { numRuns: 10_000 },
    );
    const [frame] = frames;
    expect(() => decompress(frame!.subarray(0, 20), MessageSysFlag.COMPRESSION_LZ4_TYPE)).toThrow(violation);
  });
});

describe('properties', () => {
  const text = fc
    .string({ minLength: 1, unit: 'grapheme' })
    .filter((each) => !each.includes('\u0001') && !each.includes('\u0002'));

  it('survive the round trip', () => {
    fc.assert(
      fc.property(fc.dictionary(text, text, { noNullPrototype: true }), (properties) => {
        expect(decodeProperties(encodeProperties(properties))).toEqual(properties);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a batch within a stored message', () => {
  const outer: StoredMessage = {
    topic: 'orders',
    queueId: 1,
    flag: 0,
    queueOffset: 100,
    commitLogOffset: 5_000,
    sysFlag: MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP,
    bornTimestamp: 1,
    bornHost: '10.0.0.1:1',
    storeTimestamp: 2,
    storeHost: '10.0.0.2:10911',
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.alloc(0),
    bodyCrc: 0,
    properties: {},
    storeSize: 1_000,
    offsetMessageId: 'X',
  };
  const parts = fc.array(
    fc.record({
      flag: fc.integer(),
      body: anyBytes,
      properties: fc.dictionary(fc.stringMatching(/^[a-z]+$/), fc.stringMatching(/^[a-z]+$/), {
        noNullPrototype: true,
      }),
    }),
    { maxLength: 6 },
  );

  it('is taken apart into messages that follow each other in the queue', () => {
    fc.assert(
      fc.property(parts, (messages) => {
        const body = encodeBatch(
          messages.map(({ flag, body, properties }) => ({
            flag,
            body,
            properties: encodeProperties(properties),
          })),
        );
        expect(
          decodeInnerBatch({ ...outer, body }).map(({ flag, body, properties }) => ({
            flag,
            body,
            properties,
          })),
        ).toEqual(messages);
      }),
      { numRuns: 500 },
    );
    const body = encodeBatch(
      ['a', 'b'].map((each) => ({ flag: 0, body: Buffer.from(each), properties: '' })),
    );
    expect(decodeInnerBatch({ ...outer, body })).toMatchObject([
      { queueOffset: 100, sysFlag: 0, topic: 'orders', commitLogOffset: 5_000 },
      { queueOffset: 101, sysFlag: 0 },
    ]);
  });

  it('that is broken is a typed error', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(parts, fc.nat(), fc.nat({ max: 255 }), (messages, at, value) => {
        const body = encodeBatch(messages.map(({ flag, body }) => ({ flag, body, properties: '' })));
        if (body.length > 0) body[at % body.length] = value;
        try {
          decodeInnerBatch({ ...outer, body });
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'PROTOCOL_VIOLATION') throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
