import { describe, expect, it } from 'vitest';
import { parseTopic } from '../../../scripts/stack/topic-spec.js';

describe('a topic on the command line', () => {
  it.each([
    ['orders', { name: 'orders', type: 'NORMAL', queues: 4 }],
    ['orders:fifo', { name: 'orders', type: 'FIFO', queues: 4 }],
    ['%DLQ%stock:DELAY:1', { name: '%DLQ%stock', type: 'DELAY', queues: 1 }],
  ])('is read from %s', (text, topic) => {
    expect(parseTopic(text)).toEqual(topic);
  });

  it.each(['', ':FIFO', 'orders:SORTED', 'orders:FIFO:0', 'orders:FIFO:1.5', 'orders:FIFO:1:2'])(
    'is refused when it is %j',
    (text) => {
      expect(() => parseTopic(text)).toThrow(/is not a topic\. Write NAME, NAME:TYPE or NAME:TYPE:QUEUES/);
    },
  );
});
