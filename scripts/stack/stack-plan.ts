import { join } from 'node:path';
import {
  brokerConfig,
  logbackConfig,
  nameServerConfig,
  proxyConfig,
  renderProperties,
  type Config,
} from './config-files.js';
import { BROKER_PORT_OFFSETS, type PortBlock } from './ports.js';
import { releaseOf, type Release } from './releases.js';
import { StackError } from './stack-error.js';

/** What a stack consists of. */
export interface StackShape {
  /** State, data and logs live in `.rocketmq/<name>/`. @default 'dev' */
  readonly name?: string;
  /** @default ROCKETMQ_VERSION, else 5.5.0 */
  readonly release?: string;
  /** @default 1 */
  readonly nameServers?: number;
  /** Masters `broker-a` and `broker-b`, and `broker-a-slave`, from which clients may read. @default false */
  readonly cluster?: boolean;
  /** How `broker-a` hands messages to its slave. @default 'async' */
  readonly replication?: 'async' | 'sync';
  /** The gRPC proxy, which 4.x does not have. @default false */
  readonly proxy?: boolean;
  /** Fixed ports. Not given: the usual ones when free, otherwise others. */
  readonly nameServerPort?: number;
  readonly brokerPort?: number;
  /** gRPC. */
  readonly proxyPort?: number;
  /** Lines for every broker.conf, stronger than ours. */
  readonly brokerConfig?: Config;
  /** @default 1024, in a cluster 512 */
  readonly brokerHeapMb?: number;
  /** Brokers compile for throughput (G1, all tiers): for measurements. Otherwise for a quick start. @default false */
  readonly performance?: boolean;
}

export type PartRole = 'namesrv' | 'broker' | 'proxy';

/** One JVM, ready to be started again and again. */
export interface PartPlan {
  readonly name: string;
  readonly role: PartRole;
  readonly address: string;
  readonly folder: string;
  readonly logFile: string;
  readonly jvmArguments: readonly string[];
  readonly mainClass: string;
  readonly arguments: readonly string[];
  /** Path -> content. */
  readonly files: Readonly<Record<string, string>>;
  readonly broker?: {
    readonly brokerName: string;
    readonly brokerId: number;
    /** What it tells clients where it is, when that is not where it listens: behind something in between. */
    readonly advertised?: string;
  };
  /**
   * Parts of the first wave start together: a broker needs several seconds before it looks for its name server. Slaves
   * and proxy give up, or wait long, when they do not find a master: they come second.
   */
  readonly wave: 1 | 2;
}

export interface StackPlan {
  readonly release: Release;
  readonly nameServer: string;
  readonly endpoints?: string;
  readonly parts: readonly PartPlan[];
}

interface BrokerSpec {
  readonly part: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly role: 'ASYNC_MASTER' | 'SYNC_MASTER' | 'SLAVE';
}

const HOST = '127.0.0.1';

/** 4.x unmaps its files through the JDK's internals, and fails without them when it recovers after a crash. */
const UNMAPS_BY_REFLECTION = [
  // Java 8 has nothing to open.
  '-XX:+IgnoreUnrecognizedVMOptions',
  '--add-opens=java.base/java.nio=ALL-UNNAMED',
  '--add-opens=java.base/sun.nio.ch=ALL-UNNAMED',
  '--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED',
];

/** A third less CPU until a JVM is of use; its peak throughput is lower. */
const QUICK_START = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'] as const;

const USUAL = { nameServer: 9876, broker: 10_911, proxyGrpc: 8081, proxyRemoting: 8080 } as const;

const nameServerName = (index: number): string => (index === 0 ? 'namesrv' : `namesrv-${index + 1}`);

function brokerSpecs(shape: StackShape): readonly BrokerSpec[] {
  const brokerA = { part: 'broker-a', brokerName: 'broker-a', brokerId: 0, role: 'ASYNC_MASTER' } as const;
  if (!shape.cluster) return [brokerA];
  return [
    shape.replication === 'sync' ? { ...brokerA, role: 'SYNC_MASTER' } : brokerA,
    { part: 'broker-b', brokerName: 'broker-b', brokerId: 0, role: 'ASYNC_MASTER' },
    { part: 'broker-a-slave', brokerName: 'broker-a', brokerId: 1, role: 'SLAVE' },
  ];
}

/** @throws StackError for a shape that no release or no port number can have. */
export function checkShape(shape: StackShape): void {
  const release = releaseOf(shape.release);
  if (shape.name !== undefined && !/^[a-z\d][\w.-]{0,60}$/i.test(shape.name)) {
    throw new StackError(
      `'${shape.name}' cannot be the name of a stack: use letters, digits, '-', '_' and '.'.`,
    );
  }
  if (shape.proxy && release.line < 5) {
    throw new StackError(
      `RocketMQ ${release.version} has no proxy: leave --proxy out, or choose --release 5.5.0.`,
    );
  }
  if (shape.replication !== undefined && !shape.cluster) {
    throw new StackError('Replication needs a slave: add --cluster, or leave the replication out.');
  }
  const ports = {
    nameServerPort: shape.nameServerPort,
    brokerPort: shape.brokerPort,
    proxyPort: shape.proxyPort,
  };
  for (const [option, port] of Object.entries(ports)) {
    if (port !== undefined && !(Number.isInteger(port) && port > 2 && port < 65_535)) {
      throw new StackError(`${option} must be a port number between 3 and 65534, not ${port}.`);
    }
  }
}

/** The ports this shape needs, in the order in which {@link planStack} takes them. */
export function portBlocks(shape: StackShape): readonly PortBlock[] {
  const nameServers = Array.from({ length: shape.nameServers ?? 1 }, (_, index) => ({
    owner: index === 0 ? 'name server' : `name server ${index + 1}`,
    preferred: (shape.nameServerPort ?? USUAL.nameServer) + index,
    fixed: index === 0 ? shape.nameServerPort : undefined,
  }));
  const brokers = brokerSpecs(shape).map((spec, index) => ({
    owner: spec.part,
    preferred: (shape.brokerPort ?? USUAL.broker) + index * 10,
    fixed: index === 0 ? shape.brokerPort : undefined,
    offsets: BROKER_PORT_OFFSETS,
  }));
  const proxy = [
    { owner: 'proxy (gRPC)', preferred: USUAL.proxyGrpc, fixed: shape.proxyPort },
    { owner: 'proxy (remoting)', preferred: USUAL.proxyRemoting },
  ];
  return [...nameServers, ...brokers, ...(shape.proxy ? proxy : [])];
}

/** Everything that follows from the shape, a folder and the chosen ports. Touches nothing. */
export function planStack(shape: StackShape, folder: string, ports: readonly number[]): StackPlan {
  const release = releaseOf(shape.release);
  const queue = [...ports];
  const next = (): number => queue.shift() ?? 0;
  const nameServers = Array.from({ length: shape.nameServers ?? 1 }, (_, index) =>
    planNameServer(release, join(folder, nameServerName(index)), nameServerName(index), next()),
  );
  const nameServer = nameServers.map((part) => part.address).join(';');
  const brokers = brokerSpecs(shape).map((spec) =>
    planBroker({ shape, release, spec, folder: join(folder, spec.part), port: next(), nameServer }),
  );
  const proxies = shape.proxy ? [planProxy(join(folder, 'proxy'), nameServer, next(), next())] : [];
  const endpoints = proxies[0]?.address;
  return {
    release,
    nameServer,
    ...(endpoints === undefined ? {} : { endpoints }),
    parts: [...nameServers, ...brokers, ...proxies],
  };
}

/** 5.x is told where its logging configuration is, 4.9 looks for a fixed name in ROCKETMQ_HOME. */
function logging(release: Release, folder: string, name: string, legacyName: string) {
  const logFile = join(folder, `${name}.log`);
  const path = join(folder, 'conf', release.line >= 5 ? 'logback.xml' : legacyName);
  return {
    logFile,
    files: { [path]: logbackConfig(logFile) },
    jvmArguments: [
      `-Duser.home=${folder}`,
      ...(release.line >= 5 ? [`-Drmq.logback.configurationFile=${path}`] : []),
    ],
  };
}

function planNameServer(release: Release, folder: string, name: string, port: number): PartPlan {
  const log = logging(release, folder, name, 'logback_namesrv.xml');
  const config = join(folder, 'namesrv.conf');
  return {
    name,
    role: 'namesrv',
    address: `${HOST}:${port}`,
    folder,
    logFile: log.logFile,
    jvmArguments: ['-Xms64m', '-Xmx256m', ...QUICK_START, ...log.jvmArguments],
    mainClass: 'org.apache.rocketmq.namesrv.NamesrvStartup',
    arguments: ['-c', config],
    files: { ...log.files, [config]: renderProperties(nameServerConfig(release, port)) },
    wave: 1,
  };
}

function planBroker(input: {
  readonly shape: StackShape;
  readonly release: Release;
  readonly spec: BrokerSpec;
  readonly folder: string;
  readonly port: number;
  readonly nameServer: string;
}): PartPlan {
  const { shape, release, spec, folder, port, nameServer } = input;
  const log = logging(release, folder, spec.part, 'logback_broker.xml');
  const config = join(folder, 'broker.conf');
  const advertisedHost = shape.brokerConfig?.['brokerIP1'];
  const heap = shape.brokerHeapMb ?? (shape.cluster ? 512 : 1024);
  const properties = brokerConfig({
    release,
    brokerName: spec.brokerName,
    brokerId: spec.brokerId,
    role: spec.role,
    port,
    nameServer,
    storeFolder: join(folder, 'store'),
    slaveReadEnable: shape.cluster ?? false,
    ...(shape.brokerConfig === undefined ? {} : { overrides: shape.brokerConfig }),
  });
  return {
    name: spec.part,
    role: 'broker',
    address: `${HOST}:${port}`,
    folder,
    logFile: log.logFile,
    jvmArguments: [
      `-Xms${heap}m`,
      `-Xmx${heap}m`,
      `-Xmn${heap / 2}m`,
      `-XX:MaxDirectMemorySize=${heap}m`,
      ...(shape.performance ? ['-XX:+UseG1GC'] : QUICK_START),
      // The broker counts the disk of the whole machine and would refuse messages when somebody else fills it.
      '-Drocketmq.broker.diskSpaceWarningLevelRatio=0.98',
      '-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.97',
      ...(release.line < 5 ? UNMAPS_BY_REFLECTION : []),
      ...log.jvmArguments,
    ],
    mainClass: 'org.apache.rocketmq.broker.BrokerStartup',
    arguments: ['-n', nameServer, '-c', config],
    files: { ...log.files, [config]: renderProperties(properties) },
    broker: {
      brokerName: spec.brokerName,
      brokerId: spec.brokerId,
      ...(advertisedHost === undefined ? {} : { advertised: `${String(advertisedHost)}:${port}` }),
    },
    wave: spec.role === 'SLAVE' ? 2 : 1,
  };
}

function planProxy(folder: string, nameServer: string, grpcPort: number, remotingPort: number): PartPlan {
  const log = logging(releaseOf('5.5.0'), folder, 'proxy', '');
  const config = join(folder, 'rmq-proxy.json');
  const json = JSON.stringify(proxyConfig({ nameServer, grpcPort, remotingPort }), null, 2);
  return {
    name: 'proxy',
    role: 'proxy',
    address: `${HOST}:${grpcPort}`,
    folder,
    logFile: log.logFile,
    jvmArguments: [
      '-Xms256m',
      '-Xmx512m',
      '-XX:MaxDirectMemorySize=512m',
      '-XX:+UseSerialGC',
      ...log.jvmArguments,
    ],
    mainClass: 'org.apache.rocketmq.proxy.ProxyStartup',
    arguments: ['-n', nameServer, '-pm', 'cluster', '-pc', config],
    files: { ...log.files, [config]: `${json}\n` },
    wave: 2,
  };
}
