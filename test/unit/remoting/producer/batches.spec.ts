import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { splitBatch, type BatchItem } from '../../../../lib/client/remoting/producer/batches.js';
import { encodeBatch } from '../../../../lib/client/remoting/protocol/batch-encoder.js';

describe('splitting a batch', () => {
  const item = (bytes: number, properties = ''): BatchItem => ({
    message: { topic: 'topic', body: Buffer.alloc(bytes) },
    messageId: 'id',
    properties,
  });

  it('keeps every message, in order, and every part with company within the limit on the wire', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.nat(500), properties: fc.string({ maxLength: 60 }) }), {
          minLength: 1,
        }),
        fc.integer({ min: 1, max: 2_000 }),
        (sizes, limit) => {
          const items = sizes.map(({ bytes, properties }) => item(bytes, properties));
          const parts = splitBatch(items, limit);
          expect(parts.flat()).toEqual(items);
          for (const part of parts) {
            expect(part.length).toBeGreaterThan(0);
            if (part.length === 1) continue;
            const wire = encodeBatch(
              part.map(({ message, properties }) => ({ flag: 0, body: message.body, properties })),
            );
            expect(wire.length).toBeLessThanOrEqual(limit);
          }
        },
      ),
    );
  });

  it('makes as few parts as it can in order', () => {
    const items = Array.from({ length: 10 }, () => item(1_000));
    expect(splitBatch(items, 1_000_000)).toHaveLength(1);
    expect(splitBatch(items, 6_000).map((part) => part.length)).toEqual([5, 5]);
  });
});
