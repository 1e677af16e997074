import { describe, expect, it } from 'vitest';
import { fromKey128, MessageIdGenerator, toKey128 } from '../../../lib/database/message-id.js';

describe('message ids', () => {
  it('have the shape of a RocketMQ unique key and are never the same', () => {
    const ids = new MessageIdGenerator();
    const seen = new Set(Array.from({ length: 200_000 }, () => ids.next()));
    expect(seen.size).toBe(200_000);
    for (const id of [...seen].slice(0, 10)) expect(id).toMatch(/^[0-9A-F]{32}$/);
  });

  it('carry the milliseconds since the start of the month where RocketMQ looks for them', () => {
    const now = new Date(2026, 4, 17, 12, 30).getTime();
    const id = new MessageIdGenerator({ now: () => now }).next();
    expect(Number.parseInt(id.slice(20, 28), 16)).toBe(now - new Date(2026, 4, 1).getTime());
  });

  it('stay apart when the month, and with it the time, begins again', () => {
    let now = new Date(2026, 0, 5).getTime();
    const ids = new MessageIdGenerator({ now: () => now });
    const january = ids.next();
    now = new Date(2026, 1, 5).getTime();
    expect(ids.next().slice(0, 20)).not.toBe(january.slice(0, 20));
  });

  it('are 16 bytes in the database, whatever the text was', () => {
    const id = 'AB'.repeat(16);
    expect(toKey128(id)).toBe('ab'.repeat(16));
    expect(toKey128('order:7')).toMatch(/^[0-9a-f]{32}$/);
    expect(toKey128('order:7')).not.toBe(toKey128('order:8'));
    const bytes = Buffer.from(id, 'hex');
    expect(fromKey128(bytes)).toBe(id);
    expect(fromKey128(new Uint8Array(bytes).buffer)).toBe(id);
    expect(fromKey128('abababab-abab-abab-abab-abababababab')).toBe(id);
  });
});
