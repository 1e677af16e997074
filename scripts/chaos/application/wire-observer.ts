import { setTimeout as sleep } from 'node:timers/promises';
import {
  createRocketMQClient,
  type MessageQueue,
  type PullConsumer,
  type ReceivedMessage,
  type RocketMQClient,
} from 'nestjs-rocketmq';
import type { Place, WireObserver } from '../contract.js';
import { HistoryWriter } from '../history/history-writer.js';
import type { Labelled } from './message-rows.js';
import { DEAD_LETTERS, groupOf, TOPIC_PLANS, topicOf, type GroupName } from './names.js';

export async function startWireObserver(place: Place): Promise<WireObserver> {
  const client = createRocketMQClient({ nameServer: place.nameServer, routePollIntervalMs: 2_000 });
  await client.start();
  const consumer = client.createPullConsumer({
    group: `${place.run}-wire`,
    startFrom: 'first',
    autoCommit: false,
    pollBatchSize: 256,
  });
  await consumer.start();
  const observer = new Observer(place, client, consumer);
  await observer.begin();
  return observer;
}

class Observer implements WireObserver {
  readonly #history: HistoryWriter;
  /** The next offset to be written down, by queue: what is read again after a restart is no duplicate on the wire. */
  readonly #next = new Map<string, number>();
  readonly #topics = new Map<string, string>();
  #queues: MessageQueue[] = [];
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(
    private readonly place: Place,
    private readonly client: RocketMQClient,
    private readonly consumer: PullConsumer,
  ) {
    this.#history = new HistoryWriter(place.folder, 'wire');
  }

  async begin(): Promise<void> {
    for (const [topic] of TOPIC_PLANS) await this.#include(topicOf(this.place.run, topic), topic);
    await this.consumer.assign(this.#queues);
    this.#reading = this.#read();
  }

  async caughtUp(): Promise<void> {
    await this.#addDeadLetters();
    for (;;) {
      const behind = await this.#behind().catch((error: unknown) => String(error));
      if (behind === undefined) return;
      await sleep(200);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reading;
    await this.client.close();
    this.#history.close();
  }

  async #include(topic: string, name: string): Promise<void> {
    this.#topics.set(topic, name);
    const known = new Set(this.#queues.map(nameOf));
    const queues = await this.consumer.queues(topic);
    this.#queues = [...this.#queues, ...queues.filter((queue) => !known.has(nameOf(queue)))];
  }

  /** There are none as long as everything is well, so nobody looks before the end. */
  async #addDeadLetters(): Promise<void> {
    const { run } = this.place;
    const groups = TOPIC_PLANS.flatMap(([, plan]) => plan.groups).map(({ name }) => name as GroupName);
    let found = 0;
    for (const group of groups) {
      const topic = `%DLQ%${groupOf(run, group)}`;
      if (!(await this.client.admin.topicExists(topic))) continue;
      await this.#include(topic, DEAD_LETTERS);
      found += 1;
    }
    if (found === 0) return;
    await this.consumer.assign(this.#queues);
    // Queues that are assigned anew begin where their group stands, and it stands nowhere.
    for (const queue of this.#queues)
      await this.consumer.seek(queue, this.#next.get(nameOf(queue)) ?? 'begin');
  }

  async #read(): Promise<void> {
    while (!this.#closed) {
      try {
        for (const message of await this.consumer.poll(1_000)) this.#note(message);
      } catch {
        await sleep(500);
      }
    }
  }

  #note(message: ReceivedMessage): void {
    const { topic, brokerName, queueId, queueOffset, body, messageId, storeTimestamp } = message;
    const queue = nameOf({ topic, brokerName, queueId });
    if (queueOffset < (this.#next.get(queue) ?? 0)) return;
    this.#next.set(queue, queueOffset + 1);
    const { label, key } = JSON.parse(body.toString()) as Labelled;
    this.#history.add({
      what: 'stored',
      label,
      topic: this.#topics.get(topic) ?? DEAD_LETTERS,
      key,
      messageId,
      queue,
      offset: queueOffset,
      storedAt: storeTimestamp,
    });
  }

  async #behind(): Promise<string | undefined> {
    for (const topic of this.#topics.keys()) {
      for (const [queue, { min, max }] of await this.client.admin.offsets(topic)) {
        const next = this.#next.get(`${topic} ${queue}`) ?? min;
        if (next < max) return `${topic} ${queue}: ${next} of ${max}`;
      }
    }
    return undefined;
  }
}

function nameOf({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic} ${brokerName}:${queueId}`;
}
