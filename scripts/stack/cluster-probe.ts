import { connect } from 'node:net';

/** Codes of `org.apache.rocketmq.remoting.protocol.RequestCode`. */
const UPDATE_BROKER_CONFIG = 25;
const GET_BROKER_RUNTIME_INFO = 28;
const GET_ROUTEINFO_BY_TOPIC = 105;
const GET_BROKER_CLUSTER_INFO = 106;
/** 5.x only. */
const GET_BROKER_HA_STATUS = 907;

/** Every broker registers this topic of its own: a route to it exists as soon as the broker is usable. */
const PROBE_TOPIC = 'SELF_TEST_TOPIC';

interface Reply {
  readonly code: number;
  readonly remark: string;
  readonly body: string;
}

/** Older brokers print maps with numbers as keys without quotes. */
export function parseLenientJson(text: string): unknown {
  return JSON.parse(text.replaceAll(/([{,])\s*(-?\d+)\s*:/g, '$1"$2":'));
}

function encodeRequest(code: number, extFields: Record<string, string>, body: string): Buffer {
  const header = Buffer.from(
    JSON.stringify({ code, language: 'OTHER', version: 401, opaque: 1, flag: 0, extFields }),
  );
  const lengths = Buffer.alloc(8);
  lengths.writeInt32BE(4 + header.length + Buffer.byteLength(body), 0);
  lengths.writeInt32BE(header.length, 4);
  return Buffer.concat([lengths, header, Buffer.from(body)]);
}

/** Undefined while the frame is not complete. */
function decodeReply(received: Buffer): Reply | undefined {
  if (received.length < 8) return undefined;
  const end = 4 + received.readInt32BE(0);
  if (received.length < end) return undefined;
  const bodyStart = 8 + (received.readInt32BE(4) & 0xff_ff_ff);
  const header = JSON.parse(received.toString('utf8', 8, bodyStart)) as { code: number; remark?: string };
  return { code: header.code, remark: header.remark ?? '', body: received.toString('utf8', bodyStart, end) };
}

/**
 * One request on a connection of its own, the smallest client there can be. The stack does not use the library's
 * client to find out whether the broker is up: a defect there would look like a broker that never starts.
 */
async function request(
  address: string,
  code: number,
  extFields: Record<string, string> = {},
  body = '',
): Promise<Reply> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port) }, () =>
      socket.write(encodeRequest(code, extFields, body)),
    );
    let received = Buffer.alloc(0);
    socket.setTimeout(2000, () => socket.destroy(new Error(`${address} did not answer within 2 s`)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const reply = decodeReply(received);
      if (!reply) return;
      resolve(reply);
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${address} closed the connection`)));
  });
}

/** True when the name server answers. */
export async function nameServerAnswers(address: string): Promise<boolean> {
  try {
    await request(address, GET_BROKER_CLUSTER_INFO);
    return true;
  } catch {
    return false;
  }
}

interface ClusterInfo {
  readonly brokerAddrTable?: Record<string, { brokerAddrs?: Record<string, string> }>;
}

/** Every registered broker as `name:id` -> address. Empty when the name server does not answer. */
export async function registeredBrokers(nameServer: string): Promise<Map<string, string>> {
  try {
    const reply = await request(nameServer, GET_BROKER_CLUSTER_INFO);
    const info = parseLenientJson(reply.body) as ClusterInfo;
    return new Map(
      Object.entries(info.brokerAddrTable ?? {}).flatMap(([name, broker]) =>
        Object.entries(broker.brokerAddrs ?? {}).map(([id, address]) => [`${name}:${id}`, address] as const),
      ),
    );
  } catch {
    return new Map();
  }
}

interface RouteData {
  readonly brokerDatas?: readonly { brokerName: string; brokerAddrs?: Record<string, string> }[];
}

export interface ExpectedBroker {
  readonly brokerName: string;
  readonly brokerId: number;
  /** Where it listens. */
  readonly address: string;
  /** @default the address */
  readonly advertised?: string;
}

/**
 * An open port is not a usable broker. Usable: listed by the name server under its own address, on the route of a
 * topic, and answering. Returns what is missing, or undefined when nothing is.
 */
export async function missingForUse(nameServer: string, broker: ExpectedBroker): Promise<string | undefined> {
  const registered = await registeredBrokers(nameServer);
  const advertised = broker.advertised ?? broker.address;
  if (registered.get(`${broker.brokerName}:${broker.brokerId}`) !== advertised) {
    return `not registered at the name server ${nameServer} yet`;
  }
  try {
    const route = await request(nameServer, GET_ROUTEINFO_BY_TOPIC, {
      topic: PROBE_TOPIC,
      acceptStandardJsonOnly: 'true',
    });
    const data = route.code === 0 ? (parseLenientJson(route.body) as RouteData) : {};
    const onRoute = data.brokerDatas?.some(
      (entry) =>
        entry.brokerName === broker.brokerName && Object.values(entry.brokerAddrs ?? {}).includes(advertised),
    );
    if (!onRoute) return `no route to it yet ${route.remark}`.trimEnd();
    const answer = await request(broker.address, GET_BROKER_RUNTIME_INFO);
    if (answer.code !== 0) return `answers with code ${answer.code} ${answer.remark}`.trimEnd();
    const master = registered.get(`${broker.brokerName}:0`);
    return broker.brokerId === 0 || master === undefined ? undefined : await missingForReplication(master);
  } catch (error) {
    return String(error instanceof Error ? error.message : error);
  }
}

/**
 * Has a broker report itself and all its topics to the name servers now. At its start it does so only to those it is
 * connected to (`BrokerOuterAPI.registerBrokerAll`), in the same moment as it connects: it may find none, and then waits
 * for 10 s. A change of its permission, here to what it is, makes it report (`AdminBrokerProcessor.updateBrokerConfig`).
 */
export async function askToRegister(broker: string): Promise<void> {
  await request(broker, UPDATE_BROKER_CONFIG, {}, 'brokerPermission=6\n');
}

interface HighAvailabilityStatus {
  readonly inSyncSlaveNums?: number;
}

/** A slave is registered before it follows its master; until then a synchronous master cannot acknowledge. */
async function missingForReplication(master: string): Promise<string | undefined> {
  const status = await request(master, GET_BROKER_HA_STATUS);
  if (status.code !== 0) return undefined;
  const { inSyncSlaveNums = 0 } = parseLenientJson(status.body) as HighAvailabilityStatus;
  return inSyncSlaveNums > 0 ? undefined : 'does not follow its master yet';
}
