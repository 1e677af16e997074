import { describe, expect, it } from 'vitest';
import { laneOf } from '../../../lib/outbox/lane-hash.js';
import { fairShare } from '../../../lib/outbox/lane-keeper.js';

describe('the lane of an ordering key', () => {
  // Published vectors of FNV-1a with 32 bits: rows in the database depend on it for ever.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('follows FNV-1a: %j', (key, hash) => {
    expect(laneOf(key, 2 ** 32)).toBe(hash);
    expect(laneOf(key, 64)).toBe(hash % 64);
  });

  it('spreads keys over all lanes', () => {
    const counts = new Map<number, number>();
    for (let n = 0; n < 6_400; n += 1) {
      const lane = laneOf(`order-${n}`, 64);
      counts.set(lane, (counts.get(lane) ?? 0) + 1);
    }
    expect(counts.size).toBe(64);
    expect(Math.max(...counts.values())).toBeLessThan(200);
  });
});

describe('the fair share of lanes', () => {
  it('gives every lane to one instance, and none more than one above another', () => {
    for (const count of [1, 2, 3, 5, 7, 63, 64, 65]) {
      const instances = Array.from({ length: count }, (_, n) => `i${String(n).padStart(3, '0')}`);
      const shares = instances.map((instance) => fairShare(instances, instance, 64));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(64);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
  });

  it('counts an instance that is not on the list yet', () => {
    expect(fairShare(['a'], 'b', 64)).toBe(32);
  });
});
