import { describe, expect, it } from 'vitest';
import type {
  ConsumerBroker,
  PullRequest,
  PullResult,
} from '../../../lib/client/consumer/consumer-broker.js';
import { ConsumerReports } from '../../../lib/client/consumer/consumer-reports.js';
import type { FlowControl } from '../../../lib/client/consumer/flow-control.js';
import { ProcessQueue } from '../../../lib/client/consumer/process-queue.js';
import { PullMessageService } from '../../../lib/client/consumer/pull-message-service.js';
import type { SubscriptionTable } from '../../../lib/client/consumer/subscription-table.js';
import { FakeClock } from '../../../lib/testing/fake-clock.js';
import { pulledRange } from './held.js';

const LONG_POLLING_MS = 15_000;

function setUp(startOffset: number) {
  const clock = new FakeClock();
  const pulls: PullRequest[] = [];
  let answer: (result: PullResult) => void = () => undefined;
  const broker = {
    pull: (request: PullRequest) => {
      pulls.push(request);
      return new Promise<PullResult>((resolve) => (answer = resolve));
    },
    forget: () => undefined,
  } as unknown as ConsumerBroker;
  const processQueue = new ProcessQueue({ topic: 'orders', brokerName: 'broker-a', queueId: 0 }, startOffset);
  const service = new PullMessageService(
    clock,
    broker,
    { get: () => ({ expression: '*' }) } as unknown as SubscriptionTable,
    { room: () => undefined, release: () => undefined } as unknown as FlowControl,
    new ConsumerReports('group', () => undefined),
    {
      batchSize: 32,
      longPollingMs: LONG_POLLING_MS,
      postSubscription: false,
      commitWithPull: true,
      onMessages: () => undefined,
      onReset: () => undefined,
      onUnreadable: () => Promise.resolve(),
    },
  );
  service.start(processQueue);
  return {
    processQueue,
    service,
    /** What the pull under way asks for; then answers it. */
    next: async (result: PullResult) => {
      // A pull that was to be held and came back at once is followed by a pause.
      await clock.advance(20);
      const { offset, commitOffset, suspendMs } = pulls.splice(0)[0] ?? {};
      answer(result);
      await clock.settle();
      return { offset, commitOffset, suspendMs };
    },
    finishAll: () => {
      for (const held of processQueue.take(32, () => true)) processQueue.finish(held);
    },
  };
}

const nothing = (nextOffset: number): PullResult => ({ status: 'nothing', nextOffset });
const found = (from: number, to: number): PullResult => ({
  status: 'found',
  messages: pulledRange(from, to),
  unreadable: [],
  nextOffset: to,
});

describe('offsets that go with pulls', () => {
  it('are those of queues with nothing in hand, and the broker is not to hold such a pull: it might store the offset late', async () => {
    const { next, finishAll, service, processQueue } = setUp(5);
    expect(await next(nothing(5))).toEqual({ offset: 5, commitOffset: 5, suspendMs: 0 });
    expect(await next(found(5, 8))).toEqual({
      offset: 5,
      commitOffset: undefined,
      suspendMs: LONG_POLLING_MS,
    });
    expect(await next(nothing(8))).toEqual({
      offset: 8,
      commitOffset: undefined,
      suspendMs: LONG_POLLING_MS,
    });
    finishAll();
    expect(await next(nothing(8))).toMatchObject({ offset: 8, commitOffset: undefined });
    expect(await next(nothing(8))).toEqual({ offset: 8, commitOffset: 8, suspendMs: 0 });
    service.stop(processQueue);
  });

  it('are told once, and what comes with the answer is not waited for', async () => {
    const { next, finishAll, service, processQueue } = setUp(0);
    expect(await next(found(0, 3))).toEqual({
      offset: 0,
      commitOffset: undefined,
      suspendMs: LONG_POLLING_MS,
    });
    finishAll();
    // This pull was under way when the messages were finished.
    expect(await next(found(3, 4))).toEqual({
      offset: 3,
      commitOffset: undefined,
      suspendMs: LONG_POLLING_MS,
    });
    finishAll();
    expect(await next(nothing(4))).toMatchObject({ offset: 4, suspendMs: LONG_POLLING_MS });
    expect(await next(nothing(4))).toEqual({ offset: 4, commitOffset: 4, suspendMs: 0 });
    expect(await next(nothing(4))).toEqual({
      offset: 4,
      commitOffset: undefined,
      suspendMs: LONG_POLLING_MS,
    });
    service.stop(processQueue);
  });
});
