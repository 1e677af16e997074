import { setMaxListeners } from 'node:events';
import { randomUUID } from 'node:crypto';
import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { Clock } from './clock.js';
import type { RequestResult } from './producer.js';
import type { SendReceipt } from './send.js';

/** How long a request may wait. */
export interface ReplyLimits {
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting {
  readonly take: (reply: ReceivedMessage) => void;
  readonly fail: (error: unknown) => void;
}

/** Requests of one producer that wait for their replies. (Java: `RequestFutureHolder`, `RequestResponseFuture`.) */
export class PendingReplies {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Sends a request and waits for the reply that carries its correlation id.
   * @throws RocketMQError what the send failed with; `TIMEOUT`, `ABORTED`
   */
  async ask(
    topic: string,
    { deadline, signal }: ReplyLimits,
    send: (correlationId: string) => Promise<SendReceipt>,
  ): Promise<RequestResult> {
    const correlationId = randomUUID();
    const reply = this.#wait(topic, correlationId, deadline, signal);
    // It may fail while the send is under way; then the send decides.
    reply.promise.catch(() => undefined);
    try {
      const receipt = await send(correlationId);
      return { receipt, reply: await reply.promise };
    } finally {
      reply.end();
    }
  }

  /** Whether somebody waits for it. */
  take(correlationId: string, reply: ReceivedMessage): boolean {
    const waiting = this.#waiting.get(correlationId);
    waiting?.take(reply);
    return waiting !== undefined;
  }

  /** Nobody will get a reply any more. */
  close(error: RocketMQError): void {
    for (const { fail } of this.#waiting.values()) fail(error);
  }

  #wait(
    topic: string,
    correlationId: string,
    deadline: number,
    signal: AbortSignal | undefined,
  ): { readonly promise: Promise<ReceivedMessage>; end(): void } {
    let take: (reply: ReceivedMessage) => void = () => undefined;
    let fail: (error: unknown) => void = () => undefined;
    const promise = new Promise<ReceivedMessage>((resolve, reject) => {
      take = resolve;
      fail = reject;
    });
    const timer = this.#clock.setTimeout(() => fail(unanswered(topic)), deadline - this.#clock.monotonic());
    const onAbort = (): void => fail(givenUp(topic));
    if (signal !== undefined) {
      // One signal may end any number of requests; Node warns of more than ten listeners.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    }
    this.#waiting.set(correlationId, { take, fail });
    return {
      promise,
      end: () => {
        this.#clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(correlationId);
      },
    };
  }
}

/** What a request says about the reply it waits for. */
export interface ReplyAddress {
  readonly correlationId: string;
  readonly clientId: string;
  readonly cluster: string;
  readonly ttl: string | undefined;
}

/**
 * Where the reply to a message goes; undefined when nobody waits for one. (Java: `MessageUtil.createReplyMessage`.)
 */
export function replyAddressOf({
  properties,
}: Pick<ReceivedMessage, 'properties'>): ReplyAddress | undefined {
  const {
    CORRELATION_ID: correlationId,
    REPLY_TO_CLIENT: clientId,
    CLUSTER: cluster,
    TTL: ttl,
  } = properties as Readonly<Record<string, string | undefined>>;
  if (correlationId === undefined || clientId === undefined || cluster === undefined) return undefined;
  return { correlationId, clientId, cluster, ttl };
}

/** @throws RocketMQError `INVALID_ARGUMENT` when nobody waits for a reply */
export function replyAddress(request: Pick<ReceivedMessage, 'messageId' | 'properties'>): ReplyAddress {
  const address = replyAddressOf(request);
  if (address !== undefined) return address;
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    `Message ${request.messageId} waits for no reply. Reply only to messages sent with request().`,
  );
}

function unanswered(topic: string): RocketMQError {
  return new RocketMQError(
    'TIMEOUT',
    `No reply to the request for "${topic}" came in time. Check that a listener of the topic replies; it may have handled the request all the same.`,
    { retryable: true },
  );
}

function givenUp(topic: string): RocketMQError {
  return new RocketMQError(
    'ABORTED',
    `The caller gave up waiting for a reply to "${topic}". Ask again if it is still wanted.`,
  );
}
