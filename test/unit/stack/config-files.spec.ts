import { describe, expect, it } from 'vitest';
import { brokerConfig, nameServerConfig, renderProperties } from '../../../scripts/stack/config-files.js';
import { releaseOf } from '../../../scripts/stack/releases.js';

const input = {
  release: releaseOf('5.5.0'),
  brokerName: 'broker-a',
  brokerId: 0,
  role: 'ASYNC_MASTER',
  port: 20_911,
  nameServer: '127.0.0.1:1;127.0.0.1:2',
  storeFolder: '/data/store',
  slaveReadEnable: false,
} as const;

describe('the configuration of a broker', () => {
  it('places it where it was told to be, reachable on this machine only', () => {
    expect(brokerConfig(input)).toMatchObject({
      brokerIP1: '127.0.0.1',
      bindAddress: '127.0.0.1',
      listenPort: 20_911,
      haListenPort: 20_912,
      namesrvAddr: '127.0.0.1:1;127.0.0.1:2',
      storePathRootDir: '/data/store',
      storePathCommitLog: '/data/store/commitlog',
    });
  });

  it('keeps the 18 delay levels that retries count on', () => {
    expect(String(brokerConfig(input)['messageDelayLevel']).split(' ')).toHaveLength(18);
  });

  it('leaves out on 4.9 what only 5.x understands', () => {
    const old = brokerConfig({ ...input, release: releaseOf('4.9.7') });
    expect(Object.keys(brokerConfig(input)).filter((key) => !(key in old))).toEqual([
      'bindAddress',
      'mappedFileSizeTimerLog',
      'timerWheelEnable',
      'timerPrecisionMs',
      'timerFlushIntervalMs',
      'transactionOpBatchInterval',
      'transactionOpMsgMaxSize',
      'recallMessageEnable',
      'appendAckAsync',
      'appendCkAsync',
    ]);
  });

  it('makes a synchronous master wait for its slave, which 5.x has to be told', () => {
    expect(brokerConfig({ ...input, role: 'SYNC_MASTER' })).toMatchObject({ inSyncReplicas: 2 });
    expect(brokerConfig(input)).not.toHaveProperty('inSyncReplicas');
  });

  it('gives way to settings of the caller', () => {
    const overrides = { transactionTimeOut: 60_000, autoCreateTopicEnable: false };
    expect(brokerConfig({ ...input, overrides })).toMatchObject(overrides);
  });
});

describe('the configuration of a name server', () => {
  it('is bound to this machine where the release can do that', () => {
    expect(nameServerConfig(releaseOf('5.5.0'), 9876)).toEqual({
      listenPort: 9876,
      bindAddress: '127.0.0.1',
    });
    expect(nameServerConfig(releaseOf('4.9.7'), 9876)).toEqual({ listenPort: 9876 });
  });
});

describe('a properties file', () => {
  it('has one line per setting and doubles backslashes', () => {
    expect(renderProperties({ a: 1, b: true, path: String.raw`C:\data` })).toBe(
      'a=1\nb=true\npath=C:\\\\data\n',
    );
  });
});
