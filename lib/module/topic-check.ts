import type { Admin } from '../client/admin.js';
import type { ConsumerPlan } from '../listener/consumer-plan.js';
import type { TopicPolicy } from './rocketmq-module-options.js';

/** Makes sure the topics of a plan exist, as the policy says. Resolves with what is missing, one line each. */
export async function checkTopics(plan: ConsumerPlan, admin: Admin, policy: TopicPolicy): Promise<string[]> {
  if (policy === 'ignore') return [];
  const problems = await Promise.all(
    [...plan.routes.keys()].map(async (topic) => {
      const definitions = plan.definitions.filter(({ options }) => options.topic === topic);
      const ids = definitions.map(({ id }) => `"${id}"`).join(', ');
      try {
        if (await admin.topicExists(topic)) return undefined;
        // A dead-letter topic comes into being with the first dead letter; its reader need not wait for that.
        if (definitions.some(({ deadLettersOf }) => deadLettersOf !== undefined)) {
          await admin.createTopic(topic, { queues: 1 });
          return undefined;
        }
        if (policy === 'create') {
          await admin.createTopic(topic);
          return undefined;
        }
        return `Topic "${topic}" of listener ${ids} does not exist. Create it, or set topics: 'create'.`;
      } catch (error) {
        return `Topic "${topic}" of listener ${ids} could not be ${policy === 'create' ? 'created' : 'looked up'}: ${(error as Error).message}`;
      }
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}
