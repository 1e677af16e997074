import { describe, expect, it } from 'vitest';

import { Namespace } from '../../../../lib/client/namespace.js';

describe('Namespace', () => {
  const inside = new Namespace('test');

  it.each([
    ['orders', 'test%orders'],
    ['%RETRY%billing', '%RETRY%test%billing'],
    ['%DLQ%billing', '%DLQ%test%billing'],
    ['TBW102', 'TBW102'],
    ['RMQ_SYS_TRACE_TOPIC', 'RMQ_SYS_TRACE_TOPIC'],
    ['rmq_sys_wheel_timer', 'rmq_sys_wheel_timer'],
  ])('knows %s as %s at the broker, and back', (name, atBroker) => {
    expect(inside.wrap(name)).toBe(atBroker);
    expect(inside.wrap(atBroker)).toBe(atBroker);
    expect(inside.unwrap(atBroker)).toBe(name);
    expect(inside.unwrap(name)).toBe(name);
  });

  it('changes nothing without a name', () => {
    for (const none of [new Namespace(), new Namespace('')]) {
      expect(none.wrap('orders')).toBe('orders');
      expect(none.unwrap('test%orders')).toBe('test%orders');
      expect(none.name).toBeUndefined();
    }
  });
});
