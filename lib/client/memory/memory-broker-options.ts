import { systemClock, type Clock } from '../clock.js';
import type { BrokerFaults } from './broker-faults.js';

/** Limits and times of an in-process broker. The defaults are those of a real broker where it has them. */
export interface MemoryBrokerOptions {
  /** Its name in receipts and queues. @default 'memory' */
  readonly name?: string;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** What goes wrong; see {@link BrokerFaults}. @default nothing */
  readonly faults?: BrokerFaults;
  /** Numbers in [0, 1) for client names and unique keys. Give a seeded one for runs that repeat exactly. @default Math.random */
  readonly random?: () => number;
  /** Queues of a topic that is created by a send, and of one created without saying how many. @default 4 */
  readonly queuesPerTopic?: number;
  /** Create a topic when somebody sends to it (broker.conf: `autoCreateTopicEnable`). @default true */
  readonly autoCreateTopics?: boolean;
  /** Milliseconds of delay levels 1 to 18 (broker.conf: `messageDelayLevel`). @default 1s 5s 10s 30s 1m … 2h */
  readonly delayLevels?: readonly number[];
  /** Longest time a timer message may wait, milliseconds (broker.conf: `timerMaxDelaySec`). @default 259200000, three days */
  readonly maxTimerDelayMs?: number;
  /** Age at which a half message is first asked about, milliseconds (broker.conf: `transactionTimeOut`). @default 6000 */
  readonly transactionTimeoutMs?: number;
  /** Between two rounds of checks, milliseconds (broker.conf: `transactionCheckInterval`). @default 30000 */
  readonly transactionCheckIntervalMs?: number;
  /** Checks of one half message before it is given up (broker.conf: `transactionCheckMax`). @default 15 */
  readonly transactionCheckMax?: number;
  /**
   * How long an ended half message may still be asked about, milliseconds: brokers of RocketMQ 5 note ends in batches
   * (broker.conf: `transactionOpBatchInterval`). @default 3000
   */
  readonly transactionOpBatchMs?: number;
  /** Largest body, bytes (broker.conf: `maxMessageSize`). @default 4194304 */
  readonly maxMessageSize?: number;
  /**
   * Messages kept in all topics. At the limit, messages every group of their topic has consumed are forgotten; if that
   * is not enough, sends are refused with `BROKER_BUSY`. @default 200000
   */
  readonly maxMessages?: number;
  /** Bytes kept in all topics, as with `maxMessages`. @default 268435456 */
  readonly maxBytes?: number;
  /** How long an orderly consumer owns a queue without renewing, milliseconds (broker: `rocketmq.broker.rebalance.lockMaxLiveTime`). @default 60000 */
  readonly queueLockMs?: number;
}

export type BrokerSettings = Required<MemoryBrokerOptions>;

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

/** Source: MessageStoreConfig.messageDelayLevel. */
const DEFAULT_DELAY_LEVELS: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2].map((hours) => hours * HOUR),
];

export function brokerSettings(options: MemoryBrokerOptions): BrokerSettings {
  return {
    name: options.name ?? 'memory',
    clock: options.clock ?? systemClock,
    faults: options.faults ?? {},
    random: options.random ?? Math.random,
    queuesPerTopic: options.queuesPerTopic ?? 4,
    autoCreateTopics: options.autoCreateTopics ?? true,
    delayLevels: options.delayLevels ?? DEFAULT_DELAY_LEVELS,
    maxTimerDelayMs: options.maxTimerDelayMs ?? 3 * 24 * HOUR,
    transactionTimeoutMs: options.transactionTimeoutMs ?? 6 * SECOND,
    transactionCheckIntervalMs: options.transactionCheckIntervalMs ?? 30 * SECOND,
    transactionCheckMax: options.transactionCheckMax ?? 15,
    transactionOpBatchMs: options.transactionOpBatchMs ?? 3 * SECOND,
    maxMessageSize: options.maxMessageSize ?? 4 * 1024 * 1024,
    maxMessages: options.maxMessages ?? 200_000,
    maxBytes: options.maxBytes ?? 256 * 1024 * 1024,
    queueLockMs: options.queueLockMs ?? 60 * SECOND,
  };
}
