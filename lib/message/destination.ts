import { RocketMQError } from './rocketmq-error.js';
import { checkTag, checkTopic } from './message-limits.js';

/** Where a message goes: a topic and at most one tag. In calls it may be written `"topic"` or `"topic:tag"`. */
export interface Destination {
  readonly topic: string;
  readonly tag?: string | undefined;
}

/**
 * Reads `"topic"` or `"topic:tag"`; an object is checked and passed on.
 *
 * @throws RocketMQError `INVALID_ARGUMENT` when topic or tag breaks RocketMQ's naming rules.
 */
export function parseDestination(destination: string | Destination): Destination {
  const { topic, tag } = typeof destination === 'string' ? split(destination) : destination;
  checkTopic(topic);
  if (tag !== undefined) checkTag(tag);
  return { topic, tag };
}

function split(text: string): Destination {
  const colon = text.indexOf(':');
  if (colon < 0) return { topic: text };
  if (colon === text.length - 1) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `Destination "${text}" ends with ":". Write "topic" or "topic:tag".`,
    );
  }
  return { topic: text.slice(0, colon), tag: text.slice(colon + 1) };
}
