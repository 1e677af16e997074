import type { ClientOptions, RocketMQClient } from '../../lib/client/rocketmq-client.js';

/** Options a test may give a client of any engine. */
export type CommonClientOptions = Pick<ClientOptions, 'instanceName' | 'namespace' | 'log'>;

/** An engine and the broker behind it. Everything below test/conformance holds for each of them. */
export interface EngineUnderTest {
  readonly name: string;
  /** A client of the one broker of this run. The suite starts and closes it. */
  createClient(options?: CommonClientOptions): RocketMQClient;
  /** Whether the broker has what came with RocketMQ 5: timer messages, recall, text tests in SQL92 filters. */
  readonly isBroker5: boolean;
  /** A time, milliseconds, in which a timer message of this broker is well visible as "later". */
  readonly laterMs: number;
}
