import { RocketMQError } from '../../../message/rocketmq-error.js';
import { parseLenientJson, type LenientValue } from './lenient-json.js';

/** Broker id of a master. (Java: `MixAll.MASTER_ID`.) */
export const MASTER_ID = 0;
/** The topic whose queues stand in for one that is about to be created. (Java: `TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC`.) */
export const AUTO_CREATE_TOPIC = 'TBW102';

/** The queues of a topic on one broker. (Java: `QueueData`.) */
export interface QueueData {
  readonly brokerName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicSysFlag: number;
}

/** A master and its slaves. (Java: `BrokerData`.) */
export interface BrokerData {
  readonly cluster: string;
  readonly brokerName: string;
  /** Broker id to `host:port`; {@link MASTER_ID} is the master. */
  readonly brokerAddrs: ReadonlyMap<number, string>;
}

/** Where a topic lives. Sorted by broker name. (Java: `TopicRouteData`.) */
export interface TopicRouteData {
  /** `broker-a:8;broker-b:8`, for topics that are ordered over all brokers. */
  readonly orderTopicConf: string | undefined;
  readonly queueDatas: readonly QueueData[];
  readonly brokerDatas: readonly BrokerData[];
}

/** Every broker the name server knows. (Java: `ClusterInfo`.) */
export interface ClusterInfo {
  readonly brokers: readonly BrokerData[];
  /** Cluster name to broker names. */
  readonly clusters: ReadonlyMap<string, readonly string[]>;
}

type Fields = { readonly [name: string]: LenientValue };

/**
 * The body of GET_ROUTEINFO_BY_TOPIC, in standard JSON or with fastjson's bare numeric keys.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function parseTopicRoute(body: Buffer): TopicRouteData {
  const route = fieldsOf(parse(body), 'route data');
  const orderTopicConf = route['orderTopicConf'];
  return {
    orderTopicConf: typeof orderTopicConf === 'string' && orderTopicConf !== '' ? orderTopicConf : undefined,
    queueDatas: listOf(route['queueDatas']).map(queueData).sort(byBrokerName),
    brokerDatas: listOf(route['brokerDatas']).map(brokerData).sort(byBrokerName),
  };
}

/**
 * The body of GET_BROKER_CLUSTER_INFO.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function parseClusterInfo(body: Buffer): ClusterInfo {
  const info = fieldsOf(parse(body), 'cluster info');
  const clusters = Object.entries(fieldsOf(info['clusterAddrTable'] ?? {}, 'cluster table'));
  return {
    brokers: Object.values(fieldsOf(info['brokerAddrTable'] ?? {}, 'broker table'))
      .map(brokerData)
      .sort(byBrokerName),
    clusters: new Map(clusters.map(([name, brokers]) => [name, listOf(brokers).map(String)])),
  };
}

function parse(body: Buffer): LenientValue {
  const text = body.toString('utf8');
  try {
    return JSON.parse(text) as LenientValue;
  } catch {
    return parseLenientJson(text);
  }
}

function queueData(value: LenientValue): QueueData {
  const fields = fieldsOf(value, 'queue data');
  return {
    brokerName: textOf(fields, 'brokerName'),
    readQueueNums: numberOf(fields, 'readQueueNums'),
    writeQueueNums: numberOf(fields, 'writeQueueNums'),
    perm: numberOf(fields, 'perm'),
    topicSysFlag: fields['topicSysFlag'] === undefined ? 0 : numberOf(fields, 'topicSysFlag'),
  };
}

function brokerData(value: LenientValue): BrokerData {
  const fields = fieldsOf(value, 'broker data');
  const addresses = Object.entries(fieldsOf(fields['brokerAddrs'] ?? {}, 'broker addresses'));
  const { cluster } = fields;
  return {
    cluster: typeof cluster === 'string' ? cluster : '',
    brokerName: textOf(fields, 'brokerName'),
    brokerAddrs: new Map(
      addresses
        .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
        .map(([id, address]): [number, string] => [Number(id), address])
        .filter(([id]) => Number.isSafeInteger(id))
        .sort(([left], [right]) => left - right),
    ),
  };
}

function byBrokerName(left: { brokerName: string }, right: { brokerName: string }): number {
  return left.brokerName < right.brokerName ? -1 : left.brokerName > right.brokerName ? 1 : 0;
}

function fieldsOf(value: LenientValue | undefined, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)) {
    return value as Fields;
  }
  throw broken(what);
}

function listOf(value: LenientValue | undefined): readonly LenientValue[] {
  return Array.isArray(value) ? (value as readonly LenientValue[]) : [];
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw broken(name);
}

function numberOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw broken(name);
}

function broken(what: string): RocketMQError {
  return new RocketMQError(
    'PROTOCOL_VIOLATION',
    `The name server's answer has no usable ${what}. Check that the address is a RocketMQ name server.`,
  );
}
