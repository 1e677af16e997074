import type { Admin, TopicOptions, TopicType } from '../client/admin.js';
import type { ConsumerPlan } from '../listener/consumer-plan.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { TopicPolicy } from './rocketmq-module-options.js';

/** Why a topic has to be there, and how. */
export interface TopicNeed {
  readonly topic: string;
  /** Ids of the listeners that read it. */
  readonly listeners: readonly string[];
  /** One of them wants the order of its queues. */
  readonly ordered: boolean;
  /** The dead letters of a group, and nothing else. */
  readonly deadLetters: boolean;
  /** What the connection's `declaredTopics` say about it. */
  readonly declared: TopicOptions | undefined;
}

export interface TopicCheckServices {
  readonly admin: Pick<Admin, 'createTopic' | 'describeTopic' | 'topicExists'>;
  readonly policy: TopicPolicy;
  readonly warn: (warning: string) => void;
}

/** Types whose messages enter a queue when they are due or committed, not when they are sent. */
const UNORDERED: ReadonlySet<TopicType> = new Set<TopicType>(['DELAY', 'TRANSACTION', 'PRIORITY']);

/** The topics of listeners and those declared, each once. */
export function topicNeeds(
  plans: readonly ConsumerPlan[],
  declared: Readonly<Record<string, TopicOptions>>,
): TopicNeed[] {
  const topics = new Set([...plans.flatMap(({ routes }) => [...routes.keys()]), ...Object.keys(declared)]);
  return [...topics].map((topic) => {
    const readers = plans.filter(({ routes }) => routes.has(topic));
    const definitions = readers.flatMap((plan) =>
      plan.definitions.filter(({ options }) => options.topic === topic),
    );
    return {
      topic,
      listeners: definitions.map(({ id }) => id),
      ordered: readers.some(({ consumer }) => consumer.mode === 'orderly'),
      deadLetters:
        definitions.length > 0 && definitions.every(({ deadLettersOf }) => deadLettersOf !== undefined),
      declared: declared[topic],
    };
  });
}

/** Makes sure that topics are there and of the type declared, as the policy says. Resolves with what is wrong, one line each. */
export async function checkTopics(
  needs: readonly TopicNeed[],
  services: TopicCheckServices,
): Promise<string[]> {
  if (services.policy === 'ignore') return [];
  const problems = await Promise.all(needs.map((need) => checkTopic(need, services)));
  return problems.filter((problem) => problem !== undefined);
}

async function checkTopic(need: TopicNeed, services: TopicCheckServices): Promise<string | undefined> {
  const { admin, policy } = services;
  const { topic, declared } = need;
  let doing = 'looked up';
  try {
    if (!(await admin.topicExists(topic))) {
      if (policy !== 'create' && !need.deadLetters) {
        return `${name(need)} does not exist. Create it, or set topics: 'create'.`;
      }
      doing = 'created';
      await admin.createTopic(topic, newTopic(need));
      return undefined;
    }
    if (declared?.type === undefined) await warnAboutOrder(need, services);
    else return await wrongType(need, declared.type, admin);
  } catch (error) {
    return `${name(need)} could not be ${doing}: ${(error as Error).message}`;
  }
  return undefined;
}

/** A dead-letter topic comes into being with the first dead letter; its reader need not wait for that. */
function newTopic({ deadLetters, declared, ordered }: TopicNeed): TopicOptions {
  if (deadLetters) return { queues: 1, ...declared };
  return { type: ordered ? 'FIFO' : 'NORMAL', ...declared };
}

async function wrongType(
  need: TopicNeed,
  wanted: TopicType,
  admin: TopicCheckServices['admin'],
): Promise<string | undefined> {
  const { type } = await admin.describeTopic(need.topic);
  if (type === undefined || type === wanted) return undefined;
  return `${name(need)} is of type ${type}, and declaredTopics wants ${wanted}. Change its type (admin.createTopic, mqadmin updateTopic), or correct declaredTopics.`;
}

/**
 * Brokers keep the order of a queue whatever the type of its topic, so an ordered listener on a NORMAL topic is right.
 * On these it gets an order, but not the one messages were sent in.
 */
async function warnAboutOrder(need: TopicNeed, { admin, warn }: TopicCheckServices): Promise<void> {
  if (!need.ordered) return;
  try {
    const { type } = await admin.describeTopic(need.topic);
    if (type === undefined || !UNORDERED.has(type)) return;
    warn(
      `${name(need)} is of type ${type}: messages get into its queues when they are due or committed, so an ordered listener does not see them in the order they were sent. If that is meant, declare it: declaredTopics: { '${need.topic}': { type: '${type}' } }.`,
    );
  } catch (error) {
    if (!(error instanceof RocketMQError)) throw error;
    // Nobody asked for the type; what is wrong with the topic shows when it is read.
  }
}

function name({ topic, listeners }: TopicNeed): string {
  if (listeners.length === 0) return `Topic "${topic}" of declaredTopics`;
  return `Topic "${topic}" of listener ${listeners.map((id) => `"${id}"`).join(', ')}`;
}
