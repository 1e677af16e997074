import type { ClientLog } from '../rocketmq-client.js';
import type { ProducerMember } from './producer-member.js';
import type { CommittableOffset } from '../consumer/offset-store.js';
import type { ConsumerMember } from './consumer-member.js';
import type { RemotingChannels } from './network/remoting-channels.js';
import { decodeReply } from './protocol/decode-reply.js';
import { decodeMessages } from './protocol/message-decoder.js';
import { PropertyName } from './protocol/property-name.js';
import type { RemotingCommand, RemotingResponse } from './protocol/remoting-command.js';
import { RequestCode } from './protocol/request-code.js';
import { ResponseCode } from './protocol/response-code.js';
import { encodeQueueMap, parseQueueMap } from './protocol/queue-map.js';

export interface ClientMembers {
  readonly producers: ReadonlyMap<string, ProducerMember>;
  readonly consumers: ReadonlyMap<string, ConsumerMember>;
  readonly brokerNameOf: (address: string) => string | undefined;
  readonly log: ClientLog;
}

/** Passes what brokers ask of this client on to the group it is meant for. (Java: `ClientRemotingProcessor`.) */
export function answerBrokerRequests(channels: RemotingChannels, members: ClientMembers): void {
  const { consumers } = members;

  channels.onRequest(RequestCode.CHECK_TRANSACTION_STATE, (command, address) => {
    passOnCheck(members, command, address);
    return undefined;
  });

  channels.onRequest(RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, (command, address) => {
    passOnReply(members, command, address);
    return { code: ResponseCode.SUCCESS };
  });

  channels.onRequest(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, ({ fields }) => {
    consumers.get(fields['consumerGroup'] ?? '')?.rebalanceNow();
    return undefined;
  });

  channels.onRequest(RequestCode.RESET_CONSUMER_CLIENT_OFFSET, async ({ fields, body }) => {
    const consumer = consumers.get(fields['group'] ?? '');
    await consumer?.resetOffsets?.(fields['topic'] ?? '', parseOffsetTable(body));
    return undefined;
  });

  channels.onRequest(RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, ({ fields }) => {
    const offsets = consumers.get(fields['group'] ?? '')?.offsetsStatus?.(fields['topic'] ?? '');
    return offsets
      ? { code: ResponseCode.SUCCESS, body: encodeOffsetTable(offsets) }
      : notHere(fields['group']);
  });

  channels.onRequest(RequestCode.GET_CONSUMER_RUNNING_INFO, ({ fields }) => {
    const body = consumers.get(fields['consumerGroup'] ?? '')?.runningInfo?.();
    return body === undefined ? notHere(fields['consumerGroup']) : { code: ResponseCode.SUCCESS, body };
  });
}

/** The group stands in the half message itself. */
function passOnCheck({ producers, log }: ClientMembers, command: RemotingCommand, address: string): void {
  const [stored] = decodeMessages(command.body);
  if (stored === undefined || 'error' in stored) {
    log(
      'error',
      `Broker ${address} asked about a half message that cannot be read. It gives up after its last check; look at the message there.`,
      stored?.error,
    );
    return;
  }
  const group = stored.properties[PropertyName.PRODUCER_GROUP] ?? '';
  const producer = producers.get(group);
  if (!producer) {
    // Starting or stopping: the broker asks again, this client or another one of the group.
    log(
      'debug',
      `Broker ${address} asked about a half message of group "${group}", which has no producer here.`,
    );
    return;
  }
  producer.onCheck({ command, stored, address });
}

/** Only its correlation id tells which producer asked. */
function passOnReply(
  { producers, brokerNameOf, log }: ClientMembers,
  command: RemotingCommand,
  address: string,
): void {
  try {
    const reply = decodeReply(command, brokerNameOf(address) ?? '');
    const correlationId = reply.properties[PropertyName.CORRELATION_ID] ?? '';
    if ([...producers.values()].some((producer) => producer.onReply(correlationId, reply))) return;
    log('debug', `A reply from ${address} came when nobody waited for it any more: ${correlationId}.`);
  } catch (error) {
    log('error', `A reply from ${address} cannot be read. Look at who sent it.`, error);
  }
}

/** (Java: `ResetOffsetBody`.) */
function parseOffsetTable(body: Buffer): CommittableOffset[] {
  return parseQueueMap(body, 'offsetTable').map(({ queue, value }) => ({ queue, offset: Number(value) }));
}

/** (Java: `GetConsumerStatusBody`.) */
function encodeOffsetTable(offsets: readonly CommittableOffset[]): Buffer {
  const table = encodeQueueMap(offsets.map(({ queue, offset }) => [queue, offset] as const));
  return Buffer.from(`{"consumerTable":{},"messageQueueTable":${table}}`);
}

function notHere(group: string | undefined): RemotingResponse {
  return {
    code: ResponseCode.SYSTEM_ERROR,
    remark: `The consumer group <${group ?? ''}> is not in this client`,
  };
}
