import type { Release } from './releases.js';

export type ConfigValue = string | number | boolean;
export type Config = Readonly<Record<string, ConfigValue>>;

const HOST = '127.0.0.1';

/** The format of Java's `Properties`, as far as RocketMQ's files use it. */
export function renderProperties(config: Config): string {
  return Object.entries(config)
    .map(([key, value]) => `${key}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('');
}

export function nameServerConfig(release: Release, port: number): Config {
  return { listenPort: port, ...(release.line >= 5 ? { bindAddress: HOST } : {}) };
}

export interface BrokerConfigInput {
  readonly release: Release;
  readonly brokerName: string;
  /** 0 is the master, others are slaves of the broker with the same name. */
  readonly brokerId: number;
  readonly role: 'ASYNC_MASTER' | 'SYNC_MASTER' | 'SLAVE';
  readonly port: number;
  /** `host:port`, several separated by semicolons. */
  readonly nameServer: string;
  readonly storeFolder: string;
  readonly slaveReadEnable: boolean;
  readonly overrides?: Config;
}

/** Delays and checks in seconds where production waits minutes. */
const FAST_FOR_DEVELOPMENT: Config = {
  // After a restart of the name server brokers are back on the route after this time at the latest.
  registerNameServerPeriod: 10_000,
  // 18 levels as in production (a retry uses level 3 + attempts), each short.
  messageDelayLevel: '1s 1s 1s 1s 2s 2s 2s 3s 3s 3s 4s 4s 4s 5s 5s 5s 6s 6s',
  transactionCheckInterval: 1000,
  transactionTimeOut: 1500,
  transactionCheckMax: 15,
};

/** Files of the production size would reserve gigabytes per broker. */
const SMALL_FILES: Config = {
  mappedFileSizeCommitLog: 104_857_600,
  mappedFileSizeConsumeQueue: 600_000,
  maxHashSlotNum: 100_000,
  maxIndexNum: 400_000,
};

const ONLY_ON_5: Config = {
  bindAddress: HOST,
  mappedFileSizeTimerLog: 10_485_760,
  timerWheelEnable: true,
  timerPrecisionMs: 100,
  // Every flush copies the whole wheel, ten times larger at this precision: an eighth of a core at the default of 1 s.
  timerFlushIntervalMs: 10_000,
  // TransactionalOpBatchService of 5.5.0 spins at full speed once the last end of a transaction is older than its
  // interval (docs/adr/0006). Written at once and with a day's interval, it has nothing to spin for.
  transactionOpBatchInterval: 86_400_000,
  transactionOpMsgMaxSize: 1,
  recallMessageEnable: true,
  appendAckAsync: true,
  appendCkAsync: true,
};

export function brokerConfig(input: BrokerConfigInput): Config {
  return {
    brokerClusterName: 'DefaultCluster',
    brokerName: input.brokerName,
    brokerId: input.brokerId,
    brokerRole: input.role,
    brokerIP1: HOST,
    brokerIP2: HOST,
    listenPort: input.port,
    haListenPort: input.port + 1,
    namesrvAddr: input.nameServer,
    storePathRootDir: input.storeFolder,
    storePathCommitLog: `${input.storeFolder}/commitlog`,
    flushDiskType: 'ASYNC_FLUSH',
    deleteWhen: '04',
    fileReservedTime: 1,
    diskMaxUsedSpaceRatio: 95,
    autoCreateTopicEnable: true,
    autoCreateSubscriptionGroup: true,
    defaultTopicQueueNums: 4,
    ...SMALL_FILES,
    ...FAST_FOR_DEVELOPMENT,
    enablePropertyFilter: true,
    enableCalcFilterBitMap: true,
    enableConsumeQueueExt: true,
    traceTopicEnable: true,
    // A busy laptop is not a broken disk: wait longer before refusing a message.
    waitTimeMillsInSendQueue: 1000,
    osPageCacheBusyTimeOutMills: 5000,
    slaveReadEnable: input.slaveReadEnable,
    ...(input.release.line >= 5 ? ONLY_ON_5 : {}),
    ...(input.role === 'SYNC_MASTER' ? replicationConfig(input.release) : {}),
    ...input.overrides,
  };
}

function replicationConfig(release: Release): Config {
  return {
    // Below the usual timeout of clients: they learn that the slave is missing instead of learning nothing.
    slaveTimeout: 1500,
    // 5.x counts the replicas that acknowledge, itself included; without this it would not wait for the slave.
    ...(release.line >= 5 ? { inSyncReplicas: 2 } : {}),
  };
}

export interface ProxyConfigInput {
  readonly nameServer: string;
  readonly grpcPort: number;
  readonly remotingPort: number;
}

/** `rmq-proxy.json`; polling limits low enough for tests. */
export function proxyConfig(input: ProxyConfigInput): Config {
  return {
    rocketMQClusterName: 'DefaultCluster',
    namesrvAddr: input.nameServer,
    proxyMode: 'cluster',
    grpcServerPort: input.grpcPort,
    remotingListenPort: input.remotingPort,
    longPollingReserveTimeInMillis: 500,
    minInvisibleTimeMillsForRecv: 1000,
    grpcClientConsumerMinLongPollingTimeoutMillis: 0,
    grpcClientConsumerMaxLongPollingTimeoutMillis: 2000,
    topicRouteServiceCacheRefreshSeconds: 1,
    topicConfigCacheRefreshSeconds: 1,
    subscriptionGroupConfigCacheRefreshSeconds: 1,
  };
}

/** These repeat themselves every few seconds, some at level WARN. */
const CHATTY_LOGGERS = [
  'RocketmqColdCtr',
  'RocketmqLite',
  'RocketmqPop',
  'RocketmqTraffic',
  'RocketmqTransaction',
  'RocketmqWaterMark',
  'RocketmqRocksDB',
];

/**
 * One log file per part, bounded. 5.x would write a dozen files each, 4.9 carries no configuration at all and
 * refuses to start without one.
 */
export function logbackConfig(logFile: string): string {
  return `<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>${logFile}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>${logFile}.%i</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>2</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>50MB</maxFileSize>
    </triggeringPolicy>
    <encoder>
      <pattern>%d{HH:mm:ss.SSS} %-5p %c{0} [%t] %m%n</pattern>
    </encoder>
  </appender>
${CHATTY_LOGGERS.map((name) => `  <logger name="${name}" level="ERROR"/>\n`).join('')}  <root level="INFO">
    <appender-ref ref="FILE"/>
  </root>
</configuration>
`;
}
