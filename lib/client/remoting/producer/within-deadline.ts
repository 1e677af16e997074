import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { Clock } from '../../clock.js';

/**
 * Waits for something that has a longer deadline of its own. What it waited for goes on; its later failure is nobody's.
 *
 * @param what begins the error's sentence
 * @throws RocketMQError `TIMEOUT` or `ABORTED`
 */
export function withinDeadline<T>(
  promise: Promise<T>,
  { deadline, signal }: { readonly deadline: number; readonly signal?: AbortSignal | undefined },
  clock: Clock,
  what: string,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      settle();
      reject(
        new RocketMQError('ABORTED', `${what} was aborted by the caller. Nothing is left to do.`, {
          cause: signal?.reason,
        }),
      );
    };
    const timer = clock.setTimeout(
      () => {
        settle();
        reject(
          new RocketMQError(
            'TIMEOUT',
            `${what} took longer than the deadline. Check the name servers and brokers, or raise the timeout.`,
            { retryable: true },
          ),
        );
      },
      Math.max(0, deadline - clock.monotonic()),
    );
    const settle = (): void => {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    promise.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error as Error);
      },
    );
  });
}
