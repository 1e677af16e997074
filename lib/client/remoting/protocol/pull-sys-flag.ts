/** Bits of `sysFlag` in a pull request. (Java: `PullSysFlag`.) */
export const PullSysFlag = {
  /** The request also commits an offset. Only to a master. */
  COMMIT_OFFSET: 0x1,
  /** Hold the request while there is nothing. */
  SUSPEND: 0x2,
  /** The request carries the subscription. */
  SUBSCRIPTION: 0x4,
  CLASS_FILTER: 0x8,
  LITE_PULL_MESSAGE: 0x10,
} as const;
