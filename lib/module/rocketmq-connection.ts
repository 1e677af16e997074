import type { TopicOptions } from '../client/admin.js';
import type { Clock } from '../client/clock.js';
import { createRocketMQClient } from '../client/client-factory.js';
import type { Producer, ProducerOptions } from '../client/producer.js';
import type { ClientLog, ConnectionState, RocketMQClient } from '../client/rocketmq-client.js';
import { jsonSerializer, type MessageSerializer } from '../message/message-serializer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { InstrumentedProducer } from './instrumented-producer.js';
import { LazyProducer, type ProducerSource } from './lazy-producer.js';
import { type ConnectionOptions, DEFAULT_PRODUCER_GROUP } from './rocketmq-module-options.js';

/** Makes the client of a connection; replaced in tests. */
export type ClientFactory = typeof createRocketMQClient;

/** One cluster this application talks to: its client, opened once, and its producer. */
export class RocketMQConnection implements ProducerSource {
  /** The producer of the connection's template; starts with the first send. */
  readonly producer: Producer;
  /** For payloads that name no serializer of their own. */
  readonly serializer: MessageSerializer;
  /** Topics the application wants to be there; see `ConnectionOptions.declaredTopics`. */
  readonly declaredTopics: Readonly<Record<string, TopicOptions>>;
  /** Why there is no client; the boot check tells it together with everything else. */
  readonly problem: RocketMQError | undefined;
  private readonly made: RocketMQClient | undefined;
  private opening: Promise<void> | undefined;
  private opened = false;
  private closed = false;

  /** @internal made by the module */
  constructor(
    /** As in the options; `default` is the top level. */
    readonly name: string,
    { producer, serializer = jsonSerializer, declaredTopics = {}, ...options }: ConnectionOptions,
    services: {
      readonly events: RocketMQEvents;
      readonly log: ClientLog;
      readonly clock: Clock;
      readonly createClient: ClientFactory;
    },
  ) {
    const { events, log, clock, createClient } = services;
    this.serializer = serializer;
    this.declaredTopics = declaredTopics;
    try {
      this.made = createClient({ ...options, log, clock });
      this.made.onStateChange((state) => events.emit('connection.state', { connection: name, state }));
    } catch (error) {
      if (!(error instanceof RocketMQError)) throw error;
      this.problem = error;
    }
    const lazy = new LazyProducer(this, { group: DEFAULT_PRODUCER_GROUP, ...producer }, events);
    this.producer = new InstrumentedProducer(name, lazy, events);
  }

  /** @throws RocketMQError `INVALID_CONFIGURATION` when the options are unusable */
  get client(): RocketMQClient {
    if (this.made === undefined) throw this.problem as RocketMQError;
    return this.made;
  }

  get state(): ConnectionState {
    return this.made?.state ?? 'closed';
  }

  /**
   * Reaches out. Concurrent calls share one attempt; a failed one may be repeated.
   * @throws RocketMQError `CONNECTION_FAILED`; `CLOSED` after `close`
   */
  open(): Promise<void> {
    if (this.closed) {
      return Promise.reject(
        new RocketMQError(
          'CLOSED',
          `Connection "${this.name}" is closed. Use it while the application runs.`,
        ),
      );
    }
    if (this.opened) return Promise.resolve();
    if (this.problem !== undefined) return Promise.reject(this.problem);
    this.opening ??= this.client
      .start()
      .then(() => {
        this.opened = true;
      })
      .finally(() => {
        this.opening = undefined;
      });
    return this.opening;
  }

  async createProducer(options: ProducerOptions): Promise<Producer> {
    await this.open();
    return this.client.createProducer(options);
  }

  /** Producer first, then everything else. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.producer.close();
    await this.made?.close();
  }
}
