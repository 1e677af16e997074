import type { Clock } from '../clock.js';
import { ConsumeMessageConcurrentlyService } from './consume-message-concurrently-service.js';
import { ConsumeMessageOrderlyService, type QueueLockView } from './consume-message-orderly-service.js';
import type { ConsumeMessageService, ConsumeServiceOptions } from './consume-message-service.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { ResolvedPushOptions } from './push-consumer-options.js';
import { SendBack } from './send-back.js';

export interface ConsumeServiceParts extends Pick<ConsumeServiceOptions, 'accept' | 'onRoom'> {
  readonly clock: Clock;
  readonly broker: ConsumerBroker;
  readonly reports: ConsumerReports;
  /** Of orderly consumers in clustering groups. */
  readonly locks: QueueLockView | undefined;
}

/** The way of consumption the options ask for. */
export function createConsumeService(
  {
    group,
    batchSize,
    concurrency,
    consumeTimeoutMs,
    suspendMs,
    handler,
    mode,
    model,
    maxReconsumeTimes,
  }: ResolvedPushOptions,
  { clock, broker, reports, locks, accept, onRoom }: ConsumeServiceParts,
): ConsumeMessageService {
  const options = {
    group,
    batchSize,
    concurrency,
    consumeTimeoutMs,
    suspendMs,
    broadcasting: model === 'broadcasting',
    accept,
    onRoom,
  };
  const sendBack = new SendBack(broker, maxReconsumeTimes);
  return mode === 'orderly'
    ? new ConsumeMessageOrderlyService(options, handler, clock, reports, sendBack, locks)
    : new ConsumeMessageConcurrentlyService(options, handler, clock, reports, sendBack);
}
