import { describe, expect, it } from 'vitest';
import { RocketMQHealthIndicator } from '../../../lib/observability/rocketmq-health.indicator.js';

describe('the health indicator', () => {
  it('is up when all is up, and has the details', async () => {
    const indicator = new RocketMQHealthIndicator([
      { name: 'connections', check: () => ({ status: 'up', details: { default: 'up' } }) },
      { name: 'outbox', check: () => Promise.resolve({ status: 'up', details: { pending: 3 } }) },
    ]);
    expect(await indicator.check()).toEqual({
      rocketmq: { status: 'up', connections: { default: 'up' }, outbox: { pending: 3 } },
    });
  });

  it('is down when one is, and never throws', async () => {
    const indicator = new RocketMQHealthIndicator([
      { name: 'fine', check: () => ({ status: 'up', details: {} }) },
      {
        name: 'throws',
        check: () => {
          throw new Error('oops');
        },
      },
      { name: 'rejects', check: () => Promise.reject(new Error('away')) },
      { name: 'hangs', check: () => new Promise(() => undefined) },
    ]);
    expect(await indicator.check('mq', { timeoutMs: 20 })).toEqual({
      mq: {
        status: 'down',
        fine: {},
        throws: { error: 'oops' },
        rejects: { error: 'away' },
        hangs: { error: 'no answer within 20 ms' },
      },
    });
  });
});
