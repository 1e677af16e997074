import { createRocketMQClient } from '../../../lib/client/client-factory.js';
import type { Producer, ProducerOptions } from '../../../lib/client/producer.js';
import type { ClientOptions, RocketMQClient } from '../../../lib/client/rocketmq-client.js';
import type { TopicOptions } from '../../../lib/client/admin.js';
import { isBroker5, nameServer } from '../../support/broker.js';
import { uniqueName } from '../../support/names.js';
import { TopicReader } from '../../support/stored-messages.js';

/** A client, and a view of what the broker stored; everything it made is removed with it. */
export class SendingClient {
  readonly client: RocketMQClient;
  readonly reader: TopicReader;
  readonly log: string[] = [];
  readonly #topics: string[] = [];

  private constructor(options: Partial<ClientOptions>) {
    this.client = createRocketMQClient({
      nameServer: nameServer(),
      log: (level, message, error) => {
        this.log.push(`${level} ${message}${error instanceof Error ? ` (${error.message})` : ''}`);
      },
      ...options,
    });
    this.reader = new TopicReader(nameServer());
  }

  static async open(options: Partial<ClientOptions> = {}): Promise<SendingClient> {
    const opened = new SendingClient(options);
    try {
      await opened.client.start();
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  async topic(options?: TopicOptions): Promise<string> {
    const topic = uniqueName('sending');
    this.#topics.push(topic);
    await this.client.admin.createTopic(topic, options);
    return topic;
  }

  async producer(options: Partial<ProducerOptions> = {}): Promise<Producer> {
    const producer = this.client.createProducer({ group: uniqueName('sending-producer'), ...options });
    await producer.start();
    return producer;
  }

  async close(): Promise<void> {
    // A 4.9 broker on Java 17 cannot unmap the files of a topic; the cluster of a test run is thrown away anyway.
    if (isBroker5()) await Promise.all(this.#topics.map((topic) => this.client.admin.deleteTopic(topic)));
    await this.client.close();
    await this.reader.close();
  }
}
