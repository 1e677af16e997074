/** Source: MessageStoreConfig.messageDelayLevel, `1s 5s 10s 30s 1m … 2h`. Brokers may be configured otherwise. */
const DEFAULT_DELAY_SECONDS = [
  1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
];

/** Delay level of a send-back that means: by the broker's schedule, level 3 + redeliveries so far. */
export const BY_SCHEDULE = 0;
/** Delay level of a send-back that means: to the dead letters. */
export const TO_DEAD_LETTERS = -1;

/** The smallest of the broker's default delay levels that is not shorter; the longest when there is none. */
export function delayLevelFor(delayMs: number): number {
  const index = DEFAULT_DELAY_SECONDS.findIndex((seconds) => seconds * 1000 >= delayMs);
  return index < 0 ? DEFAULT_DELAY_SECONDS.length : index + 1;
}

/** The level a broker takes for {@link BY_SCHEDULE}. Source: AbstractSendMessageProcessor.consumerSendMsgBack. */
export function scheduledLevel(reconsumeTimes: number): number {
  return Math.min(3 + reconsumeTimes, DEFAULT_DELAY_SECONDS.length);
}
