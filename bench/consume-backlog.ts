import { ACK, type PushConsumerOptions } from '../lib/client/push-consumer.js';
import type { Broker } from './context.js';
import { timed, type Round } from './measure.js';

/** Reads messages that are there already, with an empty handler; from the first one to the last. */
export async function consume(
  broker: Broker,
  topic: string,
  messages: number,
  options: Pick<PushConsumerOptions, 'group' | 'mode' | 'maxCachedBytes'>,
): Promise<Round> {
  let started = 0;
  let seen = 0;
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const consumer = broker.client.createPushConsumer({
    subscriptions: [{ topic }],
    startFrom: 'first',
    ...options,
    handler: (batch) => {
      started ||= performance.now();
      seen += batch.length;
      if (seen >= messages) done();
      return Promise.resolve(ACK);
    },
  });
  const round = await timed(async () => {
    await consumer.start();
    await finished;
    return messages;
  });
  const elapsedMs = performance.now() - started;
  await consumer.close();
  return { ...round, elapsedMs };
}
