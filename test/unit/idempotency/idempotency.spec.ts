import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  Idempotency,
  type HandlerDecision,
  type IdempotentCall,
} from '../../../lib/idempotency/idempotency.js';
import {
  resolveIdempotencyOptions,
  type IdempotencyOptions,
  type IdempotentOptions,
} from '../../../lib/idempotency/idempotency-options.js';
import type { InboxStore, LeaseClaim } from '../../../lib/idempotency/inbox-store.js';
import { MessageBusyError } from '../../../lib/idempotency/message-busy-error.js';
import { RocketMQEvents, type RocketMQEventMap } from '../../../lib/observability/rocketmq-events.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { receivedMessage } from '../../support/received-message.js';

const MESSAGE = receivedMessage({ messageId: 'AB'.repeat(16) });
const DONE: HandlerDecision = { value: 'done', undone: new Set() };
const HOUR = 3_600_000;

describe('idempotency', () => {
  let clock: FakeClock;
  let events: RocketMQEvents;
  let errors: RocketMQEventMap['inbox.error'][];

  beforeEach(() => {
    clock = new FakeClock();
    events = new RocketMQEvents();
    errors = [];
    events.on('inbox.error', (event) => errors.push(event));
  });

  /** With the answers of the table a test cares about; asking it for anything else fails. */
  const create = (store: Partial<InboxStore>, options: IdempotencyOptions = {}): Idempotency =>
    new Idempotency({
      dataSource: {} as DataSource,
      store: { groupId: () => Promise.resolve(1), ...store } as InboxStore,
      lease: { acquire: () => Promise.resolve(true) },
      clock,
      events,
      options: resolveIdempotencyOptions(options),
      instance: 'a',
    });
  const call = (
    handle: () => Promise<HandlerDecision>,
    options: IdempotentOptions = { leaseMs: 9_000 },
  ): IdempotentCall => ({
    connection: 'default',
    listener: 'Orders.on',
    group: 'orders',
    messages: [MESSAGE],
    payloads: [{}],
    options,
    setTransaction: () => undefined,
    handle,
  });

  describe('under a lease', () => {
    /** What was asked of the table, and what it answers. */
    const leaseTable = (claim: LeaseClaim, extend: () => Promise<boolean> = () => Promise.resolve(true)) => {
      const asked: string[] = [];
      const store: Partial<InboxStore> = {
        claim: () => Promise.resolve(claim),
        extend: () => {
          asked.push('extend');
          return extend();
        },
        complete: () => {
          asked.push('complete');
          return Promise.resolve(true);
        },
        release: () => {
          asked.push('release');
          return Promise.resolve();
        },
      };
      return { store, asked };
    };
    const CLAIMED: LeaseClaim = { state: 'claimed', epoch: 1 };
    /** A handler that takes its time. */
    const slow = (ms: number): Promise<HandlerDecision> =>
      new Promise((resolve) => clock.setTimeout(() => resolve(DONE), ms));

    it('prolongs the lease three times per period while the handler runs, and completes it', async () => {
      const { store, asked } = leaseTable(CLAIMED);
      const running = create(store).runWithLease(call(() => slow(10_000)));
      await clock.advance(10_000);
      expect(await running).toBe('done');
      expect(asked).toEqual(['extend', 'extend', 'extend', 'complete']);
      await clock.advance(60_000);
      expect(asked).toHaveLength(4);
      expect(clock.pendingTimers).toBe(0);
    });

    it('asks for a later delivery while somebody else holds the lease: when it ends, after a second at least', async () => {
      for (const [remainingMs, retryAfterMs] of [
        [4_321.5, 4_322],
        [3, 1_000],
      ] as const) {
        const { store, asked } = leaseTable({ state: 'busy', remainingMs });
        const running = create(store).runWithLease(call(() => Promise.reject(new Error('must not run'))));
        const error = await running.catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(MessageBusyError);
        expect(error).toMatchObject({ retryAfterMs, retryable: true });
        expect(asked).toEqual([]);
      }
    });

    it('acknowledges what is done', async () => {
      const duplicates: unknown[] = [];
      events.on('message.duplicate', (event) => duplicates.push(event));
      const { store } = leaseTable({ state: 'done' });
      const running = create(store).runWithLease(call(() => Promise.reject(new Error('must not run'))));
      expect(await running).toBeUndefined();
      expect(duplicates).toMatchObject([
        { messageId: MESSAGE.messageId, group: 'orders', listener: 'Orders.on' },
      ]);
    });

    it('gives the lease back when the handler fails, or wants the message again', async () => {
      const { store, asked } = leaseTable(CLAIMED);
      const idempotency = create(store);
      await expect(idempotency.runWithLease(call(() => Promise.reject(new Error('no'))))).rejects.toThrow(
        'no',
      );
      const again = { value: 'again', undone: new Set([0]) };
      expect(await idempotency.runWithLease(call(() => Promise.resolve(again)))).toBe('again');
      expect(asked).toEqual(['release', 'release']);
      expect(clock.pendingTimers).toBe(0);
    });

    it('tells that it lost the lease, once, and stops prolonging', async () => {
      const { store, asked } = leaseTable(CLAIMED, () => Promise.resolve(false));
      store.complete = () => Promise.resolve(false);
      const running = create(store).runWithLease(call(() => slow(60_000)));
      await clock.advance(60_000);
      expect(await running).toBe('done');
      expect(asked).toEqual(['extend']);
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatchObject({ phase: 'lease', error: { code: 'DATABASE_FAILED' } });
    });

    it('keeps trying to prolong it while the database is away', async () => {
      const { store, asked } = leaseTable(CLAIMED, () => Promise.reject(new Error('away')));
      const running = create(store).runWithLease(call(() => slow(10_000)));
      await clock.advance(10_000);
      expect(await running).toBe('done');
      expect(asked).toEqual(['extend', 'extend', 'extend', 'complete']);
      expect(errors).toHaveLength(3);
    });

    it('takes no failure of giving it back for a failure of the handler', async () => {
      const { store } = leaseTable(CLAIMED);
      store.release = () => Promise.reject(new Error('away'));
      await expect(
        create(store).runWithLease(call(() => Promise.reject(new Error('declined')))),
      ).rejects.toThrow('declined');
      expect(errors).toMatchObject([{ phase: 'lease', error: { message: 'away' } }]);
    });
  });

  describe('retention', () => {
    it('removes what is older in portions, until one is not full, and again on schedule', async () => {
      const portions = [10, 10, 3, 0];
      const asked: unknown[] = [];
      const swept: unknown[] = [];
      events.on('inbox.swept', (event) => swept.push(event));
      const store: Partial<InboxStore> = {
        sweep: (retentionMs, limit) => {
          asked.push([retentionMs, limit]);
          return Promise.resolve(portions.shift() ?? 0);
        },
      };
      const idempotency = create(store, { retentionMs: 5 * HOUR, sweepBatch: 10, sweepEveryMs: HOUR });
      idempotency.start();
      await clock.advance(10_000);
      expect(asked).toEqual(Array.from({ length: 3 }, () => [5 * HOUR, 10]));
      expect(swept).toEqual([{ removed: 23 }]);
      await clock.advance(HOUR);
      expect(asked).toHaveLength(4);
      expect(swept).toHaveLength(1);
      await idempotency.stop();
      await clock.advance(10 * HOUR);
      expect(asked).toHaveLength(4);
    });

    it('tells a failure and tries again', async () => {
      let asked = 0;
      const store: Partial<InboxStore> = {
        sweep: () => {
          asked += 1;
          return asked === 1 ? Promise.reject(new Error('away')) : Promise.resolve(0);
        },
      };
      const idempotency = create(store, { sweepEveryMs: HOUR });
      idempotency.start();
      await clock.advance(10_000 + HOUR);
      expect(errors).toMatchObject([{ phase: 'sweep', error: { message: 'away' } }]);
      expect(asked).toBe(2);
      await idempotency.stop();
    });
  });

  describe('sizing', () => {
    const rows = (count: number | undefined): Partial<InboxStore> => ({
      approximateRows: () => Promise.resolve(count),
    });

    it('is worth a word from 50 million rows on: expected ones, or those that are there', async () => {
      expect(await create(rows(undefined)).warnings()).toEqual([]);
      expect(await create(rows(49_000_000)).warnings()).toEqual([]);
      expect(await create(rows(80_000_000)).warnings()).toEqual([
        expect.stringMatching(
          /80 million rows \(12 GB\) at a retention of 72 h.*Shorten idempotency\.retentionMs/,
        ),
      ]);
      expect(await create(rows(0), { expectedPerSecond: 190 }).warnings()).toEqual([]);
      expect(await create(rows(0), { expectedPerSecond: 200 }).warnings()).toHaveLength(1);
      const shorter = { expectedPerSecond: 200, retentionMs: 24 * HOUR };
      expect(await create(rows(0), shorter).warnings()).toEqual([]);
    });
  });
});
