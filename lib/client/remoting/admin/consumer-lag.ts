import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { ClientInstance } from '../client-instance.js';
import type { RemotingCommand, RemotingRequest } from '../protocol/remoting-command.js';
import { RequestCode } from '../protocol/request-code.js';
import { ResponseCode } from '../protocol/response-code.js';
import { responseError } from '../protocol/response-error.js';
import { numberField, parseQueueMap } from '../protocol/queue-map.js';

interface Master {
  readonly brokerName: string;
  readonly address: string;
}

interface QueueState {
  readonly address: string;
  readonly queueId: number;
  readonly brokerOffset: number;
  /** `undefined`: the group never reported one. */
  readonly consumerOffset: number | undefined;
}

/**
 * Messages the group has not acknowledged, per queue `broker:queueId`.
 *
 * A group without any offset for the topic has no lag that could be told: where it starts is its own decision, so
 * the map is empty. Once it has one anywhere, queues it never touched count with everything they hold. (Brokers of
 * 4.9 do not tell "never" from "at the beginning" while a topic is young: there everything counts.)
 *
 * @param group as brokers know it
 * @param topic as brokers know it
 */
export async function consumerLag(
  instance: ClientInstance,
  group: string,
  topic: string,
  masters: readonly Master[],
): Promise<Map<string, number>> {
  const states = new Map<string, QueueState>();
  await Promise.all(
    masters.map(async ({ brokerName, address }) => {
      for (const state of await queueStates(instance, group, topic, address)) {
        states.set(`${brokerName}:${state.queueId}`, state);
      }
    }),
  );
  const consumed = [...states.values()].some(({ consumerOffset }) => consumerOffset !== undefined);
  const lag = new Map<string, number>();
  if (!consumed) return lag;
  await Promise.all(
    Array.from(states, async ([key, { address, queueId, brokerOffset, consumerOffset }]) => {
      const from = consumerOffset ?? (await minOffset(instance, topic, queueId, address));
      lag.set(key, Math.max(0, brokerOffset - from));
    }),
  );
  return new Map([...lag].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** (Java: `ConsumeStats`.) */
async function queueStates(
  instance: ClientInstance,
  group: string,
  topic: string,
  address: string,
): Promise<QueueState[]> {
  const response = await ask(instance, address, `Reading the lag of group "${group}"`, {
    code: RequestCode.GET_CONSUME_STATS,
    fields: { consumerGroup: group, topic },
  });
  return Promise.all(
    parseQueueMap(response.body, 'offsetTable').map(async ({ queue: { queueId }, value }) => {
      const reported = numberField(value, 'consumerOffset');
      return {
        address,
        queueId,
        brokerOffset: numberField(value, 'brokerOffset'),
        // The broker reports 0 for "never": only the single query tells them apart.
        consumerOffset:
          reported > 0 ? reported : await committedOffset(instance, group, topic, queueId, address),
      };
    }),
  );
}

async function committedOffset(
  instance: ClientInstance,
  group: string,
  topic: string,
  queueId: number,
  address: string,
): Promise<number | undefined> {
  const request = {
    code: RequestCode.QUERY_CONSUMER_OFFSET,
    fields: { consumerGroup: group, topic, queueId, setZeroIfNotFound: false },
  };
  const response = await invoke(instance, address, request);
  if (response.code === ResponseCode.QUERY_NOT_FOUND) return undefined;
  if (response.code !== ResponseCode.SUCCESS) {
    throw responseError(`Reading the offset of group "${group}"`, response, address);
  }
  return numberOf(response, 'offset', address);
}

async function minOffset(
  instance: ClientInstance,
  topic: string,
  queueId: number,
  address: string,
): Promise<number> {
  const request = { code: RequestCode.GET_MIN_OFFSET, fields: { topic, queueId } };
  return numberOf(
    await ask(instance, address, `Reading the offsets of "${topic}"`, request),
    'offset',
    address,
  );
}

async function ask(
  instance: ClientInstance,
  address: string,
  what: string,
  request: RemotingRequest,
): Promise<RemotingCommand> {
  const response = await invoke(instance, address, request);
  if (response.code !== ResponseCode.SUCCESS) throw responseError(what, response, address);
  return response;
}

function invoke(
  instance: ClientInstance,
  address: string,
  request: RemotingRequest,
): Promise<RemotingCommand> {
  return instance.channels.invoke(address, request, { timeoutMs: instance.requestTimeoutMs });
}

function numberOf({ fields }: RemotingCommand, name: string, address: string): number {
  const value = Number(fields[name]);
  if (Number.isSafeInteger(value)) return value;
  throw new RocketMQError(
    'PROTOCOL_VIOLATION',
    `The answer of ${address} has no readable "${name}". Check that the address is a RocketMQ broker.`,
  );
}
