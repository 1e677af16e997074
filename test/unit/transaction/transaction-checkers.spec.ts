import { AsyncLocalStorage } from 'node:async_hooks';
import { beforeEach, describe, expect, it } from 'vitest';
import { RocketMQEvents, type RocketMQEventMap } from '../../../lib/observability/rocketmq-events.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import {
  TRANSACTION_CHECKER_HEADER,
  TransactionCheckers,
} from '../../../lib/transaction/transaction-checkers.js';
import { receivedMessage } from '../../support/received-message.js';

describe('transaction checkers', () => {
  let clock: FakeClock;
  let checkers: TransactionCheckers;
  let checked: RocketMQEventMap['transaction.checked'][];

  beforeEach(() => {
    clock = new FakeClock();
    checked = [];
    const events = new RocketMQEvents();
    events.on('transaction.checked', (event) => checked.push(event));
    checkers = new TransactionCheckers('orders', events, clock);
  });

  const about = (checker?: string) =>
    receivedMessage({
      messageId: 'AB'.repeat(16),
      headers: checker === undefined ? {} : { [TRANSACTION_CHECKER_HEADER]: checker },
    });

  it('answer for the messages that name them, and how long that took is told', async () => {
    checkers.register('slow', () => new Promise((resolve) => clock.setTimeout(() => resolve('commit'), 250)));
    checkers.register('strict', () => Promise.resolve('rollback'));
    const answer = checkers.check(about('slow'));
    await clock.advance(250);
    expect(await answer).toBe('commit');
    expect(await checkers.check(about('strict'))).toBe('rollback');
    expect(checked).toMatchObject([
      { group: 'orders', topic: 'orders', resolution: 'commit', durationMs: 250 },
      { resolution: 'rollback', durationMs: 0 },
    ]);
  });

  it('leave the question open when they fail, when nobody has the name, when there is no name', async () => {
    checkers.register('broken', () => Promise.reject(new Error('no')));
    for (const name of ['broken', 'nobody', undefined]) {
      expect(await checkers.check(about(name))).toBe('unknown');
    }
    expect(checked.map(({ resolution, error }) => [resolution, error instanceof Error])).toEqual([
      ['unknown', true],
      ['unknown', true],
      ['unknown', true],
    ]);
  });

  it('run in no request, whoever opened the connection the question arrives on', async () => {
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    checkers.register('curious', async () => {
      seen.push(request.getStore());
      await clock.settle();
      seen.push(request.getStore());
      return 'commit';
    });
    expect(await request.run('GET /orders', () => checkers.check(about('curious')))).toBe('commit');
    expect(seen).toEqual([undefined, undefined]);
  });

  it('have names of their own', () => {
    checkers.register('one', () => Promise.resolve('commit'));
    expect(checkers.has('one')).toBe(true);
    expect(checkers.has('two')).toBe(false);
    expect(() => checkers.register('one', () => Promise.resolve('commit'))).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
