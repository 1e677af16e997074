import { describe, expect, it } from 'vitest';
import { checkShape, planStack, portBlocks, type StackShape } from '../../../scripts/stack/stack-plan.js';

const plan = (shape: StackShape) =>
  planStack(
    shape,
    '/stack',
    portBlocks(shape).map((block) => block.preferred),
  );
const configOf = (shape: StackShape, part: string): string => {
  const found = plan(shape).parts.find((each) => each.name === part)!;
  return Object.entries(found.files).find(([path]) => path.endsWith('broker.conf'))![1];
};

describe('the plan of a stack', () => {
  it('is one name server and one broker at the usual ports, and no proxy', () => {
    const { parts, nameServer, endpoints } = plan({ release: '5.5.0' });
    expect(parts.map((part) => [part.name, part.address])).toEqual([
      ['namesrv', '127.0.0.1:9876'],
      ['broker-a', '127.0.0.1:10911'],
    ]);
    expect({ nameServer, endpoints }).toEqual({ nameServer: '127.0.0.1:9876', endpoints: undefined });
  });

  it('of a cluster is two masters, and a slave that can be read from and starts after its master', () => {
    const shape = { release: '5.5.0', cluster: true };
    const brokers = plan(shape).parts.filter((part) => part.role === 'broker');
    expect(
      brokers.map(({ name, broker, wave }) => [name, broker?.brokerName, broker?.brokerId, wave]),
    ).toEqual([
      ['broker-a', 'broker-a', 0, 1],
      ['broker-b', 'broker-b', 0, 1],
      ['broker-a-slave', 'broker-a', 1, 2],
    ]);
    expect(configOf(shape, 'broker-a')).toContain('brokerRole=ASYNC_MASTER\n');
    expect(configOf(shape, 'broker-a-slave')).toContain('brokerRole=SLAVE\n');
    expect(configOf(shape, 'broker-a-slave')).toContain('slaveReadEnable=true\n');
  });

  it('replicates synchronously only where there is a slave', () => {
    const shape = { release: '5.5.0', cluster: true, replication: 'sync' } as const;
    expect(configOf(shape, 'broker-a')).toContain('brokerRole=SYNC_MASTER\n');
    expect(configOf(shape, 'broker-b')).toContain('brokerRole=ASYNC_MASTER\n');
  });

  it('tells every broker all name servers', () => {
    const shape = { release: '5.5.0', nameServers: 2 };
    expect(plan(shape).nameServer).toBe('127.0.0.1:9876;127.0.0.1:9877');
    expect(configOf(shape, 'broker-a')).toContain('namesrvAddr=127.0.0.1:9876;127.0.0.1:9877\n');
  });

  it('of a proxy says where gRPC is', () => {
    expect(plan({ release: '5.5.0', proxy: true })).toMatchObject({ endpoints: '127.0.0.1:8081' });
  });

  it('gives each part a folder of its own, and 4.9 the logging it does not bring', () => {
    const { parts } = plan({ release: '4.9.7' });
    expect(parts.flatMap((part) => Object.keys(part.files))).toEqual([
      '/stack/namesrv/conf/logback_namesrv.xml',
      '/stack/namesrv/namesrv.conf',
      '/stack/broker-a/conf/logback_broker.xml',
      '/stack/broker-a/broker.conf',
    ]);
  });

  it('keeps the room around a port the user fixed', () => {
    const [nameServer, broker] = portBlocks({ release: '5.5.0', nameServerPort: 1234, brokerPort: 2345 });
    expect(nameServer).toMatchObject({ fixed: 1234 });
    expect(broker).toMatchObject({ fixed: 2345, offsets: [-2, 0, 1] });
  });
});

describe('a stack that cannot be', () => {
  it.each<[string, StackShape, RegExp]>([
    ['an unknown release', { release: '5.5.1' }, /5\.5\.1 is not in the catalogue.*5\.5\.0, 4\.9\.7/s],
    ['a proxy of 4.9', { release: '4.9.7', proxy: true }, /has no proxy/],
    ['replication without a slave', { replication: 'sync' }, /add --cluster/],
    ['a name that leaves the folder', { name: '../x' }, /cannot be the name/],
    ['a port that is none', { brokerPort: Number.NaN }, /brokerPort must be a port number/],
  ])('is refused: %s', (_, shape, message) => {
    expect(() => checkShape(shape)).toThrow(message);
  });
});
