import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FrameReader } from '../../../../lib/client/remoting/network/frame-reader.js';
import type { RemotingCommand } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { frame, type FrameParts } from './scripted-peer.js';

const MEBIBYTE = 1024 * 1024;
const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }) as Error;

const name = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' }).filter((text) => {
  // Names are identifiers in the protocol and are not escaped.
  return !/["\\]/.test(text) && text !== '__proto__';
});
const anyFrame: fc.Arbitrary<Required<FrameParts>> = fc.record({
  code: fc.integer({ min: 0, max: 32_767 }),
  opaque: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  flag: fc.integer({ min: 0, max: 3 }),
  remark: fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }),
  fields: fc.dictionary(name, fc.string({ maxLength: 40, unit: 'grapheme' }), { noNullPrototype: true }),
  body: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  serializeType: fc.constantFrom<0 | 1>(0, 1),
});

/** Feeds pieces of random sizes. */
function feed(reader: FrameReader, bytes: Buffer, cuts: readonly number[]): void {
  let at = 0;
  for (const cut of cuts) {
    const end = Math.min(bytes.length, at + cut);
    reader.push(bytes.subarray(at, end));
    at = end;
  }
  reader.push(bytes.subarray(at));
}

const anyCuts = fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 30 });

describe('the frame reader', () => {
  it('gives back what was written, however the stream is cut', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 8 }), anyCuts, (frames, cuts) => {
        const commands: RemotingCommand[] = [];
        const reader = new FrameReader((command) => commands.push(command));
        feed(reader, Buffer.concat(frames.map(frame)), cuts);
        reader.end();
        expect(reader.allocatedBytes).toBe(0);
        expect(commands).toEqual(frames.map((each) => ({ ...each, version: 513 })));
      }),
      { numRuns: 2_000 },
    );
  });

  it('shows a frame that came in one piece without copying it', () => {
    const bytes = frame({ code: 0, opaque: 1, body: Buffer.alloc(1000, 7) });
    const commands: RemotingCommand[] = [];
    new FrameReader((command) => commands.push(command)).push(bytes);
    expect(commands[0]?.body.buffer).toBe(bytes.buffer);
  });

  it('assembles a frame of many megabytes from small pieces', () => {
    const body = Buffer.alloc(5 * MEBIBYTE);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
    const bytes = frame({ code: 0, opaque: 1, body });
    const commands: RemotingCommand[] = [];
    const reader = new FrameReader((command) => commands.push(command));
    for (let at = 0; at < bytes.length; at += 1_500) reader.push(bytes.subarray(at, at + 1_500));
    expect(commands).toHaveLength(1);
    expect(commands[0]?.body.equals(body)).toBe(true);
  });

  it('does not believe a length: memory follows what has really come', () => {
    const header = Buffer.alloc(8);
    header.writeInt32BE(16 * MEBIBYTE, 0);
    header.writeInt32BE(100, 4);
    const reader = new FrameReader(() => undefined);
    reader.push(header);
    expect(reader.allocatedBytes).toBeLessThanOrEqual(256 * 1024);
    for (let sent = 0; sent < MEBIBYTE; sent += 1024) reader.push(Buffer.alloc(1024));
    expect(reader.allocatedBytes).toBeLessThanOrEqual(2 * reader.bufferedBytes + 256 * 1024);
  });

  it('refuses a frame above the limit as soon as its length is there', () => {
    const prefix = Buffer.alloc(8);
    prefix.writeInt32BE(16 * MEBIBYTE + 1, 0);
    expect(() => new FrameReader(() => undefined).push(prefix)).toThrow(violation);
    prefix.writeInt32BE(1_001, 0);
    expect(() => new FrameReader(() => undefined, 1_000).push(prefix)).toThrow(violation);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['TLS', '\u0016\u0003\u0001\u0000\u00a5\u0001\u0000\u0000'],
    ['zeros', '\0\0\0\0\0\0\0\0'],
    ['a negative length', '\u00ff\u00ff\u00ff\u00ff\0\0\0\0'],
    ['a header longer than its frame', '\0\0\0\u0010\0\0\0\u0020'],
    ['an unknown serialization', '\0\0\0\u0010\u0002\0\0\u0001'],
    ['a header that is not JSON', '\0\0\0\u0008\0\0\0\u0004nope'],
    ['a header that is no object', '\0\0\0\u0008\0\0\0\u0004null'],
    ['a header without code', '\0\0\0\u0006\0\0\0\u0002{}'],
    ['a binary header that is too short', '\0\0\0\u0008\u0001\0\0\u00040000'],
  ])('refuses %s', (_what, text) => {
    expect(() => new FrameReader(() => undefined).push(Buffer.from(text, 'latin1'))).toThrow(violation);
  });

  it.each([
    '{"code":0,"opaque":1,"extFields":{"a":{}}}',
    '{"code":0,"opaque":1,"extFields":"a"}',
    '{"code":"0","opaque":1}',
  ])('refuses the header %s', (header) => {
    const prefix = Buffer.alloc(8);
    prefix.writeInt32BE(4 + header.length, 0);
    prefix.writeInt32BE(header.length, 4);
    const push = (): void =>
      new FrameReader(() => undefined).push(Buffer.concat([prefix, Buffer.from(header)]));
    expect(push).toThrow(violation);
  });

  it('accepts what old servers write: no fields, null fields, numbers as values', () => {
    for (const [header, fields] of [
      ['{"code":0,"opaque":1,"extFields":null}', {}],
      ['{"code":0,"opaque":1,"remark":null}', {}],
      ['{"code":0,"opaque":1,"extFields":{"a":1,"b":true,"c":null}}', { a: '1', b: 'true' }],
    ] as const) {
      const prefix = Buffer.alloc(8);
      prefix.writeInt32BE(4 + header.length, 0);
      prefix.writeInt32BE(header.length, 4);
      const commands: RemotingCommand[] = [];
      new FrameReader((command) => commands.push(command)).push(Buffer.concat([prefix, Buffer.from(header)]));
      expect(commands[0]).toMatchObject({ code: 0, opaque: 1, flag: 0, remark: undefined, fields });
    }
  });

  it('reports a stream that ends within a frame', () => {
    const bytes = frame({ code: 0, opaque: 1, body: Buffer.alloc(50) });
    for (let length = 1; length < bytes.length; length++) {
      const reader = new FrameReader(() => undefined);
      reader.push(bytes.subarray(0, length));
      expect(() => reader.end()).toThrow(violation);
    }
  });
});

describe('hostile streams, a hundred thousand of them', () => {
  /** What happened to one stream; a wrong error or too much memory fails the test. */
  function survive(bytes: Buffer, cuts: readonly number[]): 'refused' | 'truncated' | 'accepted' {
    const reader = new FrameReader(() => undefined, 64 * 1024);
    try {
      feed(reader, bytes, cuts);
      if (reader.allocatedBytes > 64 * 1024 + 4) throw new RangeError(`${reader.allocatedBytes} bytes held`);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'PROTOCOL_VIOLATION') throw error;
      return 'refused';
    }
    try {
      reader.end();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'PROTOCOL_VIOLATION') throw error;
      return 'truncated';
    }
    return 'accepted';
  }

  function run(streams: fc.Arbitrary<Buffer>, numRuns: number): Record<ReturnType<typeof survive>, number> {
    const counts = { refused: 0, truncated: 0, accepted: 0 };
    fc.assert(
      fc.property(streams, anyCuts, (bytes, cuts) => {
        counts[survive(bytes, cuts)]++;
      }),
      { numRuns },
    );
    return counts;
  }

  it('truncated: 25,000', { timeout: 180_000 }, () => {
    const truncated = fc.tuple(anyFrame, fc.double({ min: 0, max: 1, noNaN: true })).map(([parts, part]) => {
      const bytes = frame(parts);
      return bytes.subarray(0, 1 + Math.floor(part * (bytes.length - 2)));
    });
    expect(run(truncated, 25_000)).toEqual({ refused: 0, truncated: 25_000, accepted: 0 });
  });

  it('mutated: 50,000', { timeout: 180_000 }, () => {
    const mutation = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
    const mutated = fc
      .tuple(anyFrame, fc.array(mutation, { minLength: 1, maxLength: 5 }))
      .map(([parts, mutations]) => {
        const bytes = frame(parts);
        for (const [at, value] of mutations) bytes[at % bytes.length] = value;
        return bytes;
      });
    const counts = run(mutated, 50_000);
    expect(counts.refused).toBeGreaterThan(1_000);
  });

  it('with a plausible prefix and garbage behind it: 25,000', { timeout: 180_000 }, () => {
    const hostile = fc
      .tuple(
        fc.nat({ max: 70_000 }),
        fc.nat({ max: 300 }),
        fc.constantFrom(0, 1),
        fc.uint8Array({ maxLength: 400 }),
      )
      .map(([length, headerLength, type, garbage]) => {
        const prefix = Buffer.alloc(8);
        prefix.writeInt32BE(length, 0);
        prefix.writeInt32BE((type << 24) | headerLength, 4);
        return Buffer.concat([prefix, garbage]);
      });
    const counts = run(hostile, 25_000);
    expect(counts.refused + counts.truncated).toBeGreaterThan(20_000);
  });
});
