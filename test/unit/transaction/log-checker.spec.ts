import { beforeEach, describe, expect, it } from 'vitest';
import { LogChecker } from '../../../lib/transaction/log-checker.js';
import type { LogAnswer, TransactionLog } from '../../../lib/transaction/transaction-log.js';
import {
  lastPossibleCheckMs,
  resolveTransactionOptions,
} from '../../../lib/transaction/transaction-options.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { receivedMessage } from '../../support/received-message.js';

const HOUR = 3_600_000;

describe('the answer to a check', () => {
  let clock: FakeClock;
  let asked: string[];
  let bornTimestamp: number;

  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    bornTimestamp = clock.now();
  });

  const checker = (answer: LogAnswer) => {
    const log: Pick<TransactionLog, 'look' | 'decide'> = {
      look: () => {
        asked.push('look');
        return Promise.resolve(answer as Exclude<LogAnswer, 'running'>);
      },
      decide: (_id, waitMs) => {
        asked.push(`decide within ${waitMs}`);
        return Promise.resolve(answer as Exclude<LogAnswer, 'absent'>);
      },
    };
    const options = resolveTransactionOptions({ graceMs: 10_000 });
    return new LogChecker(log as TransactionLog, () => Promise.resolve('ours'), options, clock);
  };
  const message = () => receivedMessage({ messageId: 'AB'.repeat(16), bornTimestamp });

  it('only looks while the transaction may be about to begin, then decides for good', async () => {
    await clock.advance(9_999);
    expect(await checker('absent').check(message())).toBe('unknown');
    expect(asked).toEqual(['look']);
    await clock.advance(1);
    expect(await checker('rolled-back').check(message())).toBe('rollback');
    expect(asked).toEqual(['look', 'decide within 500']);
  });

  it('decides nothing about a transaction of another log, and says what is wrong', async () => {
    await clock.advance(60_000);
    const of = (log: string) => ({ ...message(), headers: { 'rmq-transaction-log': log } });
    await expect(checker('rolled-back').check(of('theirs'))).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('producer.group') as string,
    });
    expect(asked).toEqual([]);
    expect(await checker('committed').check(of('ours'))).toBe('commit');
  });

  it('finds a quick commit within the grace as well', async () => {
    expect(await checker('committed').check(message())).toBe('commit');
    expect(asked).toEqual(['look']);
  });

  it('only looks again when the outcome may have been forgotten', async () => {
    await clock.advance(7 * 24 * HOUR - 1);
    await checker('rolled-back').check(message());
    await clock.advance(1);
    expect(await checker('absent').check(message())).toBe('unknown');
    expect(await checker('committed').check(message())).toBe('commit');
    expect(asked).toEqual(['decide within 500', 'look', 'look']);
  });

  it('takes a message of the future, from a host whose clock is ahead, for a young one', async () => {
    bornTimestamp += HOUR;
    expect(await checker('absent').check(message())).toBe('unknown');
    expect(asked).toEqual(['look']);
  });

  it('is that of the log', async () => {
    await clock.advance(60_000);
    for (const [answer, resolution] of [
      ['committed', 'commit'],
      ['rolled-back', 'rollback'],
      ['outboxed', 'rollback'],
      ['running', 'unknown'],
    ] as const) {
      expect(await checker(answer).check(message())).toBe(resolution);
    }
  });

  it('is unknown about an id this library did not make', async () => {
    expect(await checker('committed').check(receivedMessage({ messageId: 'someone-else' }))).toBe('unknown');
    expect(asked).toEqual([]);
  });
});

describe('the retention of outcomes', () => {
  const broker = {
    transactionTimeOutMs: 6_000,
    checkIntervalMs: 30_000,
    checkMax: 15,
    fileReservedMs: 72 * HOUR,
  };

  it('covers every check a broker may make, and what an operator may resume', () => {
    expect(lastPossibleCheckMs(broker)).toBe(72 * HOUR + 456_000);
    expect(lastPossibleCheckMs({ ...broker, fileReservedMs: 0 })).toBe(2 * 456_000);
  });

  it('is refused when it is a millisecond too short', () => {
    const shortest = 72 * HOUR + 456_000;
    expect(resolveTransactionOptions({ retentionMs: shortest }).retentionMs).toBe(shortest);
    expect(() => resolveTransactionOptions({ retentionMs: shortest - 1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });

  it('follows the brokers settings that are stated', () => {
    const quick = { fileReservedMs: HOUR, checkMax: 5 };
    expect(() => resolveTransactionOptions({ retentionMs: 2 * HOUR })).toThrow(/a check may come after/);
    expect(resolveTransactionOptions({ retentionMs: 2 * HOUR, broker: quick }).retentionMs).toBe(2 * HOUR);
  });
});
