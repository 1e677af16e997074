import { RocketMQError } from '../message/rocketmq-error.js';
import { MemoryClient } from './memory/memory-client.js';
import { RemotingClient } from './remoting/remoting-client.js';
import type { ClientOptions, RocketMQClient } from './rocketmq-client.js';

/** What decides about the engine; exactly one of them is given. */
const ENGINE_OPTIONS = ['nameServer', 'endpoints', 'engine'] as const;

/**
 * The engine the options ask for: `nameServer` the remoting engine, `endpoints` the gRPC engine,
 * `engine: 'memory'` the in-process one. There is no guessing.
 *
 * @throws RocketMQError `INVALID_CONFIGURATION` when none or several are given, or one is unusable;
 * `UNSUPPORTED` for an engine this version does not have
 */
export function createRocketMQClient(options: ClientOptions): RocketMQClient {
  const given = ENGINE_OPTIONS.filter((name) => options[name] !== undefined);
  const [chosen] = given;
  if (chosen === undefined) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      'No RocketMQ is named. Give nameServer ("host:9876"), endpoints ("host:8081") or engine ("memory").',
    );
  }
  if (given.length > 1) {
    throw new RocketMQError(
      'INVALID_CONFIGURATION',
      `${given.join(' and ')} exclude each other, since each chooses another engine. Keep one.`,
    );
  }
  if (chosen === 'nameServer') return new RemotingClient(options);
  if (chosen === 'endpoints') {
    throw new RocketMQError(
      'UNSUPPORTED',
      'The gRPC engine (endpoints) is not part of this version. Use nameServer with the address of the name server.',
    );
  }
  if (options.engine === 'memory') return new MemoryClient(options);
  throw new RocketMQError(
    'INVALID_CONFIGURATION',
    `There is no engine "${String(options.engine)}". Write "memory", or name brokers with nameServer.`,
  );
}
