import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeBinaryHeader } from '../../../../lib/client/remoting/protocol/binary-header.js';
import {
  decodeFrame,
  FRAME_PREFIX_BYTES,
  frameBytes,
} from '../../../../lib/client/remoting/protocol/frame-header.js';
import { SerializeType } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { jsonHeader, vectors } from './wire-vectors.js';

const limit = 16 * 1024 * 1024;

describe('frames as Java writes them', () => {
  it.each(vectors.frames)('decodes: $name, serialization $serializeType', (vector) => {
    const bytes = Buffer.from(vector.frame, 'hex');
    expect(frameBytes(bytes, 0, limit)).toBe(bytes.length);
    expect(decodeFrame(bytes, 0, bytes.length)).toEqual({
      code: vector.code,
      opaque: vector.opaque,
      flag: vector.flag,
      version: vector.version,
      remark: vector.remark ?? undefined,
      fields: vector.fields,
      body: Buffer.from(vector.body, 'hex'),
      serializeType: vector.serializeType,
    });
  });

  it.each(vectors.frames.filter(({ serializeType }) => serializeType === SerializeType.ROCKETMQ))(
    'encodes to the same bytes in the binary serialization: $name',
    ({ code, opaque, flag, remark, fields, frame, body }) => {
      const header = encodeBinaryHeader(code, opaque, flag, remark ?? undefined, fields);
      const expected = Buffer.from(frame, 'hex');
      const end = expected.length - body.length / 2;
      expect(header.toString('hex')).toBe(expected.subarray(FRAME_PREFIX_BYTES, end).toString('hex'));
    },
  );

  it.each(vectors.frames.filter(({ serializeType }) => serializeType === SerializeType.JSON))(
    'encodes to the same JSON: $name',
    ({ code, opaque, flag, remark, fields, frame, body }) => {
      const given = Object.keys(fields).length === 0 ? undefined : fields;
      const header = jsonHeader(code, opaque, flag, remark ?? undefined, given);
      const bytes = Buffer.from(frame, 'hex');
      const java: unknown = JSON.parse(
        bytes.toString('utf8', FRAME_PREFIX_BYTES, bytes.length - body.length / 2),
      );
      expect(JSON.parse(header.toString())).toEqual(java);
    },
  );

  it('take every number and every text', { timeout: 60_000 }, () => {
    // Lone halves of surrogate pairs included.
    const anyText = fc
      .array(fc.integer({ min: 0, max: 0xffff }))
      .map((units) => String.fromCharCode(...units));
    const number = fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 9, 10, 999_999, 1_000_000, 2_147_483_647, 2_147_483_648, 2_147_483_647_000_000),
    );
    const value = fc.oneof(number, fc.boolean(), anyText);
    fc.assert(
      fc.property(fc.dictionary(anyText, value, { noNullPrototype: true }), anyText, (fields, remark) => {
        const header = JSON.parse(jsonHeader(1, 2, 3, remark, fields).toString()) as Record<string, unknown>;
        const texts = Object.entries(fields).map(([name, each]) => [name, String(each)]);
        expect(header).toMatchObject({ code: 1, opaque: 2, flag: 3, remark });
        expect(Object.entries(header['extFields'] ?? {})).toEqual(texts);
      }),
      { numRuns: 2_000 },
    );
  });
});
