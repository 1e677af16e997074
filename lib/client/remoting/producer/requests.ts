import type { ReceivedMessage } from '../../../message/message.js';
import type { RocketMQError } from '../../../message/rocketmq-error.js';
import { atMost } from '../../clock.js';
import { REPLY_TOPIC_SUFFIX } from '../../namespace.js';
import { PendingReplies, replyAddress } from '../../pending-replies.js';
import type { Reply, RequestResult } from '../../producer.js';
import type { SendReceipt } from '../../send.js';
import type { ClientInstance } from '../client-instance.js';
import { encodeProperties } from '../protocol/message-properties.js';
import { PropertyName } from '../protocol/property-name.js';
import type { Packet, SendTarget } from './message-sender.js';
import { checkPropertiesLength, compressBody } from './outgoing-message.js';

/** How long the first request waits at most until every broker knows this client. */
const KNOWN_MS = 1_000;
/** (Java: `MixAll.REPLY_MESSAGE_FLAG`.) */
const REPLY = 'reply';

/** The asking side of a producer. (Java: `DefaultMQProducerImpl.request`, `prepareSendRequest`.) */
export class Requests {
  readonly #instance: ClientInstance;
  readonly #pending: PendingReplies;
  #asked = false;
  /** Resolves when the brokers of the first request know this client. */
  #known: Promise<void> | undefined;

  constructor(instance: ClientInstance) {
    this.#instance = instance;
    this.#pending = new PendingReplies(instance.clock);
  }

  /** Replies come from any broker: each has to know this client. */
  get used(): boolean {
    return this.#asked;
  }

  /** @param send gets the properties that ask for a reply, encoded */
  async ask(
    topic: string,
    target: SendTarget,
    send: (properties: string) => Promise<SendReceipt>,
  ): Promise<RequestResult> {
    const { clock, clientId } = this.#instance;
    if (this.#known === undefined) {
      this.#asked = true;
      this.#known = this.#instance.heartbeat();
    }
    // A broker that is away hears of it later; requests to the others must not wait for it.
    await atMost(
      clock,
      Math.max(0, Math.min(KNOWN_MS, (target.deadline - clock.monotonic()) / 2)),
      this.#known,
    );
    return this.#pending.ask(topic, target, (correlationId) =>
      send(
        encodeProperties({
          [PropertyName.CORRELATION_ID]: correlationId,
          [PropertyName.MESSAGE_REPLY_TO_CLIENT]: clientId,
          [PropertyName.MESSAGE_TTL]: String(Math.max(1, Math.round(target.deadline - clock.monotonic()))),
        }),
      ),
    );
  }

  take(correlationId: string, reply: ReceivedMessage): boolean {
    return this.#pending.take(correlationId, reply);
  }

  close(error: RocketMQError): void {
    this.#pending.close(error);
  }
}

/**
 * A reply, ready to go to any broker of the cluster the request came from. (Java: `MessageUtil.createReplyMessage`.)
 *
 * @throws RocketMQError `INVALID_ARGUMENT` when the message waits for no reply
 */
export async function replyPacket(
  request: ReceivedMessage,
  { body, headers }: Reply,
  how: { readonly messageId: string; readonly bornTimestamp: number; readonly compressAboveBytes: number },
): Promise<Packet> {
  const { cluster, correlationId, clientId, ttl } = replyAddress(request);
  const topic = cluster + REPLY_TOPIC_SUFFIX;
  const properties = encodeProperties({
    [PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX]: how.messageId,
    [PropertyName.WAIT_STORE_MSG_OK]: 'true',
    [PropertyName.MESSAGE_TYPE]: REPLY,
    [PropertyName.CORRELATION_ID]: correlationId,
    [PropertyName.MESSAGE_REPLY_TO_CLIENT]: clientId,
    [PropertyName.MESSAGE_TTL]: ttl,
    ...headers,
  });
  checkPropertiesLength(properties, topic);
  const encoded = body.length < how.compressAboveBytes ? { body, sysFlag: 0 } : await compressBody(body);
  return { topic, ...encoded, properties, bornTimestamp: how.bornTimestamp, reply: true };
}
