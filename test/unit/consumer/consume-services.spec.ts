import { describe, expect, it } from 'vitest';
import { ConsumeMessageConcurrentlyService } from '../../../lib/client/consumer/consume-message-concurrently-service.js';
import { ConsumeMessageOrderlyService } from '../../../lib/client/consumer/consume-message-orderly-service.js';
import { ConsumerReports } from '../../../lib/client/consumer/consumer-reports.js';
import type { HeldMessage } from '../../../lib/client/consumer/process-queue.js';
import { ProcessQueue } from '../../../lib/client/consumer/process-queue.js';
import { ACK, RETRY, type ConsumerEvent, type MessageHandler } from '../../../lib/client/push-consumer.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { pulledRange } from './held.js';

/** A broker that takes messages back, or does not. */
class ScriptedSendBack {
  readonly sent: { offset: number; attempt: number; level: number }[] = [];
  refuse = false;
  maxReconsumeTimes = 16;
  /** Settles what is under way. */
  hold: Promise<void> | undefined;

  readonly isLastAttempt = ({ message }: HeldMessage): boolean => message.attempt > this.maxReconsumeTimes;

  readonly send = async ({ offset, message }: HeldMessage, level: number): Promise<void> => {
    this.sent.push({ offset, attempt: message.attempt, level });
    await this.hold;
    if (this.refuse) throw new Error('no broker');
  };
}

function setUp(
  mode: 'concurrent' | 'orderly',
  handler: MessageHandler,
  options: { batchSize?: number; concurrency?: number } = {},
) {
  const clock = new FakeClock();
  const sendBack = new ScriptedSendBack();
  const events: ConsumerEvent[] = [];
  const reports = new ConsumerReports('group', () => undefined);
  reports.onEvent((event) => events.push(event));
  const processQueue = new ProcessQueue({ topic: 'orders', brokerName: 'broker-a', queueId: 0 }, 0);
  const lock = { held: true };
  const serviceOptions = {
    group: 'group',
    batchSize: 1,
    concurrency: 4,
    consumeTimeoutMs: 60_000,
    suspendMs: 1_000,
    broadcasting: false,
    accept: () => true,
    onRoom: () => undefined,
    ...options,
  };
  const service =
    mode === 'concurrent'
      ? new ConsumeMessageConcurrentlyService(serviceOptions, handler, clock, reports, sendBack)
      : new ConsumeMessageOrderlyService(serviceOptions, handler, clock, reports, sendBack, {
          isHeld: () => lock.held,
        });
  const pull = (from: number, to: number): void => {
    processQueue.put(pulledRange(from, to), to);
    service.submit(processQueue);
  };
  return { clock, sendBack, events, processQueue, service, pull, lock };
}

describe('results that come too late', () => {
  it.each([
    ['acknowledge', () => Promise.resolve(ACK)],
    ['send back', () => Promise.resolve(RETRY)],
    ['dead-letter', () => Promise.resolve({ action: 'dead-letter' } as const)],
    ['fail', () => Promise.reject(new Error('late'))],
  ])(
    'neither commit nor go back to the broker: handlers that %s after the queue was dropped',
    async (_what, answer) => {
      let settle: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (settle = resolve));
      const { processQueue, service, sendBack, events, pull, clock } = setUp('concurrent', async () => {
        await held;
        return answer();
      });
      pull(0, 3);
      expect(service.inFlight).toBe(3);
      processQueue.drop();
      service.abandon(processQueue);
      // They run on, and count until they end.
      expect(service.inFlight).toBe(3);
      settle();
      await clock.settle();
      expect(service.inFlight).toBe(0);
      expect(processQueue.committableOffset).toBe(0);
      expect(sendBack.sent).toEqual([]);
      expect(events).toEqual([]);
    },
  );

  it.each(['concurrent', 'orderly'] as const)(
    'come from handlers that are waited for at the end: %s',
    async (mode) => {
      let settle: () => void = () => undefined;
      const { processQueue, service, pull, clock } = setUp(mode, async () => {
        await new Promise<void>((resolve) => (settle = resolve));
        return ACK;
      });
      pull(0, 1);
      processQueue.drop();
      service.abandon(processQueue);
      let abandoned: number | undefined;
      const drained = service.drain(10_000).then((count) => (abandoned = count));
      await clock.advance(5_000);
      expect(abandoned).toBeUndefined();
      settle();
      await drained;
      expect(abandoned).toBe(0);
    },
  );

  it('do not commit when the queue is dropped while the message is on its way back', async () => {
    let accept: () => void = () => undefined;
    const { processQueue, sendBack, pull, clock } = setUp('concurrent', () => Promise.resolve(RETRY));
    sendBack.hold = new Promise((resolve) => (accept = resolve));
    pull(0, 1);
    await clock.settle();
    expect(sendBack.sent).toHaveLength(1);
    processQueue.drop();
    accept();
    await clock.settle();
    expect(processQueue.committableOffset).toBe(0);
  });

  it('of orderly handlers do not count once the lock is lost', async () => {
    let settle: () => void = () => undefined;
    const { processQueue, service, pull, clock, events } = setUp('orderly', async () => {
      await new Promise<void>((resolve) => (settle = resolve));
      return RETRY;
    });
    pull(0, 2);
    processQueue.drop();
    service.abandon(processQueue);
    settle();
    await clock.settle();
    expect([processQueue.committableOffset, service.inFlight, clock.pendingTimers]).toEqual([0, 0, 0]);
    expect(events).toEqual([]);
  });
});

describe('a lock that has expired unnoticed', () => {
  it('makes results not count: neither commit nor dead letter', async () => {
    let settle: () => void = () => undefined;
    const { clock, pull, processQueue, lock, sendBack, events } = setUp('orderly', async () => {
      await new Promise<void>((resolve) => (settle = resolve));
      return { action: 'dead-letter' };
    });
    pull(0, 1);
    lock.held = false;
    settle();
    await clock.settle();
    expect([processQueue.committableOffset, sendBack.sent, events]).toEqual([0, [], []]);
  });
});

describe('messages no broker takes back', () => {
  it('are handled here again after five seconds, as the next attempt', async () => {
    const attempts: number[] = [];
    const { clock, sendBack, processQueue, pull, events } = setUp('concurrent', async ([message]) => {
      attempts.push(message!.attempt);
      return attempts.length < 3 ? RETRY : ACK;
    });
    sendBack.refuse = true;
    pull(0, 1);
    await clock.advance(4_999);
    expect(attempts).toEqual([1]);
    await clock.advance(1);
    expect(attempts).toEqual([1, 2]);
    expect(processQueue.committableOffset).toBe(0);
    await clock.advance(5_000);
    expect(attempts).toEqual([1, 2, 3]);
    expect(processQueue.committableOffset).toBe(1);
    expect(events.filter(({ type }) => type === 'error')).toHaveLength(1);
    expect(clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('wait no longer when the consumer closes', async () => {
    const { clock, sendBack, processQueue, service, pull } = setUp('concurrent', () =>
      Promise.resolve(RETRY),
    );
    sendBack.refuse = true;
    pull(0, 1);
    await clock.settle();
    expect(await service.drain(1_000)).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect(processQueue.committableOffset).toBe(0);
  });

  it('keep an orderly queue where it is', async () => {
    const seen: string[] = [];
    const { clock, sendBack, pull, processQueue } = setUp('orderly', async ([message]) => {
      seen.push(`${message!.queueOffset}#${message!.attempt}`);
      return message!.queueOffset === 0 ? { action: 'dead-letter' } : ACK;
    });
    sendBack.refuse = true;
    pull(0, 2);
    await clock.advance(1_000);
    expect(seen).toEqual(['0#1', '0#2']);
    sendBack.refuse = false;
    await clock.advance(1_000);
    expect(seen).toEqual(['0#1', '0#2', '0#3', '1#1']);
    expect(processQueue.committableOffset).toBe(2);
  });
});

describe('consume timeout', () => {
  it('gives up calls in the order they began, each at its own time', async () => {
    const { clock, service, sendBack, events, pull, processQueue } = setUp(
      'concurrent',
      () => new Promise<never>(() => undefined),
    );
    pull(0, 1);
    await clock.advance(30_000);
    pull(1, 2);
    await clock.advance(29_999);
    expect(service.inFlight).toBe(2);
    await clock.advance(1);
    expect(service.inFlight).toBe(1);
    expect(sendBack.sent).toEqual([{ offset: 0, attempt: 1, level: 0 }]);
    await clock.advance(30_000);
    expect(service.inFlight).toBe(0);
    expect(events.filter(({ type }) => type === 'consume-timeout')).toHaveLength(2);
    expect(processQueue.committableOffset).toBe(2);
    expect(clock.pendingTimers).toBe(0);
  });

  it('frees the place of a handler that never ends', async () => {
    let calls = 0;
    const { clock, pull } = setUp(
      'concurrent',
      () => {
        calls++;
        return calls === 1 ? new Promise<never>(() => undefined) : Promise.resolve(ACK);
      },
      { concurrency: 1 },
    );
    pull(0, 2);
    await clock.advance(59_999);
    expect(calls).toBe(1);
    await clock.advance(1);
    expect(calls).toBe(2);
  });

  it('lets no more handlers outlive their time than may run: the next keeps its place until one ends', async () => {
    const handlers: (() => void)[] = [];
    const { clock, pull, service } = setUp(
      'concurrent',
      () => new Promise((resolve) => handlers.push(() => resolve(ACK))),
      { concurrency: 2 },
    );
    pull(0, 10);
    await clock.advance(60_000);
    expect(handlers).toHaveLength(4);
    await clock.advance(60_000);
    expect(handlers).toHaveLength(4);
    expect(service.inFlight).toBe(0);
    handlers[0]?.();
    await clock.settle();
    expect(handlers).toHaveLength(5);
    handlers[1]?.();
    await clock.settle();
    expect(handlers).toHaveLength(6);
    // Two are overdue now: there is no place to be given back.
    handlers[2]?.();
    await clock.settle();
    expect(handlers).toHaveLength(6);
  });
});

describe('orderly consumption', () => {
  it('begins no call without the lock', async () => {
    let calls = 0;
    const { lock, pull, service, processQueue, clock } = setUp('orderly', async () => {
      calls++;
      return ACK;
    });
    lock.held = false;
    pull(0, 2);
    await clock.settle();
    expect(calls).toBe(0);
    lock.held = true;
    service.submit(processQueue);
    await clock.settle();
    expect(calls).toBe(2);
  });

  it.each([
    [1, 10],
    [500, 500],
    [3_600_000, 30_000],
  ])('asked to pause for %i ms, pauses for %i', async (delayMs, expected) => {
    let calls = 0;
    const { clock, pull } = setUp('orderly', async () => {
      calls++;
      return { action: 'retry', delayMs };
    });
    pull(0, 1);
    await clock.advance(expected - 1);
    expect(calls).toBe(1);
    await clock.advance(1);
    expect(calls).toBe(2);
  });

  it('hands a queue over when the running call has ended, and gives the call up after the consume timeout', async () => {
    const { clock, pull, service, processQueue } = setUp(
      'orderly',
      () => new Promise<never>(() => undefined),
    );
    pull(0, 2);
    let handedOver = false;
    void service.revoke(processQueue).then(() => (handedOver = true));
    await clock.advance(59_999);
    expect([handedOver, processQueue.dropped]).toEqual([false, false]);
    await clock.advance(1);
    expect([handedOver, processQueue.dropped, service.inFlight]).toEqual([true, true, 0]);
    expect(processQueue.committableOffset).toBe(0);
  });

  it('commits the result of the call that ran when the queue was revoked, and begins no other', async () => {
    let settle: () => void = () => undefined;
    let calls = 0;
    const { clock, pull, service, processQueue } = setUp('orderly', async () => {
      calls++;
      await new Promise<void>((resolve) => (settle = resolve));
      return ACK;
    });
    pull(0, 3);
    const revoked = service.revoke(processQueue);
    settle();
    await revoked;
    await clock.settle();
    expect([calls, processQueue.committableOffset, clock.pendingTimers]).toEqual([1, 1, 0]);
  });
});
