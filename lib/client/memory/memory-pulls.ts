import type { PulledMessage, PullRequest, PullResult } from '../consumer/consumer-broker.js';
import type { TopicSubscription } from '../consumer/topic-subscription.js';
import { aborted } from './broker-connection.js';
import { compileFilter, type MessageMatcher } from './filter/message-matcher.js';
import type { PullAnswer } from './memory-broker.js';
import type { MemoryClientContext } from './memory-client-context.js';
import { messageIdOf, offsetMessageIdOf, toReceivedMessage, type StoredMessage } from './stored-message.js';

/** Reason of aborts nobody hears of; without one a DOMException with a stack is made each time. */
const OVER = 'over';
/** What an answer may take beyond the time the broker may hold the pull. Source: CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND. */
const ANSWER_GRACE_MS = 15_000;

/** The pulls of one consumer, and what the in-process broker does with them. */
export class MemoryPulls {
  readonly #context: MemoryClientContext;
  readonly #group: string;
  readonly #matchers = new WeakMap<TopicSubscription, MessageMatcher>();

  /** @param group as the broker knows it */
  constructor(context: MemoryClientContext, group: string) {
    this.#context = context;
    this.#group = group;
  }

  async pull(request: PullRequest): Promise<PullResult> {
    const { queue, subscription, offset, suspendMs, signal } = request;
    const { topic, queueId } = queue;
    const matches = this.matcherOf(subscription);
    const hold = new AbortController();
    const release = (): void => hold.abort(OVER);
    signal.addEventListener('abort', release, { once: true });
    try {
      const { messages, nextOffset, minOffset } = await this.#context.connection.request(
        { kind: 'pull', group: this.#group, topic, queueId },
        () => this.#answer(request, hold),
        { timeoutMs: suspendMs + ANSWER_GRACE_MS, signal },
      );
      if (signal.aborted) throw aborted('pull');
      if (minOffset !== undefined) return { status: 'offset-moved', nextOffset, minOffset };
      if (nextOffset === offset) return { status: 'nothing', nextOffset };
      const wanted = messages.filter(({ properties }) => matches(properties));
      const delivered = wanted.flatMap((stored) => this.#deliver(stored));
      return { status: 'found', messages: delivered, unreadable: [], nextOffset };
    } finally {
      signal.removeEventListener('abort', release);
      release();
    }
  }

  /** @throws RocketMQError `BROKER_REJECTED` for SQL92 that is not understood */
  matcherOf(subscription: TopicSubscription): MessageMatcher {
    const known = this.#matchers.get(subscription);
    if (known) return known;
    const matcher = compileFilter(subscription);
    this.#matchers.set(subscription, matcher);
    return matcher;
  }

  /** At once when there is something to say; otherwise at the next message, or when the pull was held long enough. */
  async #answer(request: PullRequest, hold: AbortController): Promise<PullAnswer> {
    const { queue, offset, maxMessages, suspendMs, commitOffset } = request;
    const { topic, queueId } = queue;
    const { broker, connection } = this.#context;
    if (commitOffset !== undefined && commitOffset > 0) {
      broker.group(this.#group).setOffset(topic, queueId, commitOffset);
    }
    const answer = broker.read(topic, queueId, offset, maxMessages);
    if (answer.messages.length > 0 || answer.minOffset !== undefined || suspendMs === 0) return answer;
    const { clock } = broker.settings;
    const timer = clock.setTimeout(() => hold.abort(OVER), suspendMs);
    try {
      await broker.whenArrived(topic, queueId, offset, hold.signal);
    } finally {
      clock.clearTimeout(timer);
    }
    connection.assertUp('pull');
    return broker.read(topic, queueId, offset, maxMessages);
  }

  /** Once, or as often as the fault script says. */
  #deliver(stored: StoredMessage): PulledMessage[] {
    const { broker, clientId, namespace } = this.#context;
    const { topic, queueId, queueOffset, reconsumeTimes, commitLogOffset } = stored;
    const fault = broker.settings.faults.onDeliver?.({
      clientId,
      group: this.#group,
      topic,
      queueId,
      queueOffset,
      messageId: messageIdOf(stored.properties),
      attempt: reconsumeTimes + 1,
    });
    const consumed = { ...stored, flag: 0, offsetMessageId: offsetMessageIdOf(commitLogOffset) };
    return Array.from({ length: Math.max(1, fault?.copies ?? 1) }, () => ({
      message: toReceivedMessage(stored, broker.name, (name) => namespace.unwrap(name)),
      stored: consumed,
    }));
  }
}
