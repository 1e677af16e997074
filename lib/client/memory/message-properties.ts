/** RocketMQ's own properties as far as the in-process broker reads or writes them. (Java: `MessageConst`.) */
export const Property = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  WAIT: 'WAIT',
  DELAY_LEVEL: 'DELAY',
  TIMER_DELAY_MS: 'TIMER_DELAY_MS',
  TIMER_DELIVER_MS: 'TIMER_DELIVER_MS',
  TIMER_OUT_MS: 'TIMER_OUT_MS',
  UNIQUE_KEY: 'UNIQ_KEY',
  SHARDING_KEY: '__SHARDINGKEY',
  RETRY_TOPIC: 'RETRY_TOPIC',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QUEUE_ID: 'REAL_QID',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  PREPARED: 'TRAN_MSG',
  PRODUCER_GROUP: 'PGROUP',
  TRANSACTION_ID: '__transactionId__',
  CHECK_TIMES: 'TRANSACTION_CHECK_TIMES',
  CHECK_IMMUNITY_SECONDS: 'CHECK_IMMUNITY_TIME_IN_SECONDS',
} as const;

export type Properties = Readonly<Record<string, string>>;
