import { describe, expect, it } from 'vitest';

import { encodeBinaryHeader } from '../../../../lib/client/remoting/protocol/binary-header.js';
import {
  decodeFrame,
  FRAME_PREFIX_BYTES,
  frameBytes,
} from '../../../../lib/client/remoting/protocol/frame-header.js';
import { encodeJsonHeader } from '../../../../lib/client/remoting/protocol/json-header.js';
import { SerializeType } from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { vectors } from './wire-vectors.js';

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
      const header = encodeJsonHeader(code, opaque, flag, remark ?? undefined, fields);
      const bytes = Buffer.from(frame, 'hex');
      const java: unknown = JSON.parse(
        bytes.toString('utf8', FRAME_PREFIX_BYTES, bytes.length - body.length / 2),
      );
      expect(JSON.parse(header)).toEqual(java);
    },
  );
});
