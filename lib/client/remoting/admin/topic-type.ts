import { RocketMQError } from '../../../message/rocketmq-error.js';
import { TOPIC_TYPES, type TopicType } from '../../admin.js';
import type { ClientInstance } from '../client-instance.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';

/** Brokers of 5.x take a topic that says nothing for this one. (Java: `TopicConfig.getTopicMessageType`.) */
const UNSAID: TopicType = 'NORMAL';

/**
 * The type the masters of a topic give it; undefined when one of them knows no types, or this library not the type.
 *
 * @param topic for messages
 * @param topicName as brokers know it
 * @throws RocketMQError `INVALID_CONFIGURATION` when they do not agree
 */
export async function topicType(
  instance: ClientInstance,
  topic: string,
  topicName: string,
  addresses: readonly string[],
): Promise<TopicType | undefined> {
  const types = await Promise.all(addresses.map((address) => typeAt(instance, topic, topicName, address)));
  const [first] = types;
  if (types.every((type) => type === first)) return isTopicType(first) ? first : undefined;
  if (types.includes(undefined)) return undefined;
  const list = addresses.map((address, index) => `${address} says ${types[index]}`).join(', ');
  throw new RocketMQError(
    'INVALID_CONFIGURATION',
    `The brokers do not agree on the type of topic "${topic}": ${list}. Create it anew with one type; that changes it everywhere.`,
  );
}

async function typeAt(
  { channels, requestTimeoutMs }: ClientInstance,
  topic: string,
  topicName: string,
  address: string,
): Promise<string | undefined> {
  const response = await channels.invoke(
    address,
    // Java: GetTopicConfigRequestHeader; `lo`: of this broker, not of its logical queues.
    { code: RequestCode.GET_TOPIC_CONFIG, fields: { topic: topicName, lo: true } },
    { timeoutMs: requestTimeoutMs },
  );
  // 4.9 has no request for the configuration of one topic.
  if (response.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED) return undefined;
  if (response.code !== ResponseCode.SUCCESS) {
    throw responseError(`Reading the type of topic "${topic}"`, response, address);
  }
  return attributeOf(response.body, address);
}

function attributeOf(body: Buffer, address: string): string {
  let config: { readonly attributes?: Readonly<Record<string, unknown>> | null } | null;
  try {
    config = JSON.parse(body.toString('utf8')) as typeof config;
  } catch (error) {
    throw new RocketMQError(
      'PROTOCOL_VIOLATION',
      `The topic configuration ${address} answered is no JSON. Check that the address is a RocketMQ broker.`,
      { cause: error },
    );
  }
  const type = config?.attributes?.['message.type'];
  return typeof type === 'string' ? type : UNSAID;
}

function isTopicType(type: string | undefined): type is TopicType {
  return (TOPIC_TYPES as readonly (string | undefined)[]).includes(type);
}
