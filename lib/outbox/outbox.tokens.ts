/** The feature object of the default DataSource: outbox, relay, parked messages, metrics. */
export const OUTBOX_FEATURE = Symbol('nestjs-rocketmq:outbox');
