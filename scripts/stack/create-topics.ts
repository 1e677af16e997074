import { setTimeout as delay } from 'node:timers/promises';
import { createRocketMQClient } from '../../lib/client/client-factory.js';
import { StackError } from './stack-error.js';
import type { TopicSpec } from './topic-spec.js';

const ROUTE_LIMIT = 15_000;

/** Creates the topics, or updates them, and resolves when the name server knows a route to each. */
export async function createTopics(
  nameServer: string,
  topics: readonly TopicSpec[],
  progress: (line: string) => void = () => {},
): Promise<void> {
  const client = createRocketMQClient({ nameServer });
  await client.start();
  try {
    for (const { name, type, queues } of topics) {
      await client.admin.createTopic(name, { type, queues });
      const deadline = performance.now() + ROUTE_LIMIT;
      while (!(await client.admin.topicExists(name))) {
        if (performance.now() > deadline) {
          throw new StackError(
            `Topic ${name} was created, but there is no route to it. Look at the broker's log.`,
          );
        }
        await delay(100);
      }
      progress(`topic ${name}: ${type}, ${queues} queues per broker`);
    }
  } finally {
    await client.close();
  }
}
