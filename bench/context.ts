import { createRocketMQClient } from '../lib/client/client-factory.js';
import type { RocketMQClient } from '../lib/client/rocketmq-client.js';
import { startStack } from '../scripts/stack/stack.js';
import type { Plan } from './measure.js';
import { JavaBench } from './peers/java-bench.js';

/** What every area gets: a broker, our client on it, and the Java client in a JVM that stays warm. */
export interface BenchContext {
  readonly nameServer: string;
  /** `host:port` of the broker, for clients that do without routes. */
  readonly brokerAddress: string;
  readonly client: RocketMQClient;
  readonly java: JavaBench;
  readonly plan: Plan;
  /** A topic of its own for one measurement. */
  topic(queues?: number): Promise<string>;
  progress(line: string): void;
  close(): Promise<void>;
}

export async function openContext(plan: Plan, progress: (line: string) => void): Promise<BenchContext> {
  const given = process.env['ROCKETMQ_NAME_SERVER'];
  const stack =
    given === undefined
      ? await startStack({ name: 'bench', performance: true, onProgress: progress })
      : undefined;
  const nameServer = given ?? (stack?.nameServer as string);
  const client = createRocketMQClient({ nameServer });
  await client.start();
  const brokerAddress = (await client.admin.brokers())[0]?.addresses.get(0) ?? '';
  const java = await JavaBench.start(nameServer);
  let topics = 0;
  return {
    nameServer,
    brokerAddress,
    client,
    java,
    plan,
    progress,
    async topic(queues = 4) {
      const topic = `bench-${process.pid}-${++topics}`;
      await client.admin.createTopic(topic, { queues });
      return topic;
    },
    async close() {
      java.close();
      await client.close();
      await stack?.stop();
    },
  };
}
