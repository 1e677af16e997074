import { RocketMQError } from '../../message/rocketmq-error.js';

/**
 * Waits for a group's queues as long as the caller wants to.
 *
 * @throws RocketMQError `ABORTED`
 */
export function untilAborted(
  assigned: Promise<void>,
  signal: AbortSignal | undefined,
  group: string,
): Promise<void> {
  if (!signal) return assigned;
  return new Promise((resolve, reject) => {
    const onAbort = (): void =>
      reject(
        new RocketMQError(
          'ABORTED',
          `Group "${group}" did not get its queues before the caller stopped waiting. See its error events for the reason.`,
          { cause: signal.reason },
        ),
      );
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void assigned.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
