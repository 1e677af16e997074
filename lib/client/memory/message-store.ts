import type { TopicType } from '../admin.js';
import { Answer, refusal } from './broker-answer.js';
import type { BrokerSettings } from './memory-broker-options.js';
import { MemoryQueue } from './memory-queue.js';
import { storedBytes, type MessageToStore, type StoredMessage } from './stored-message.js';

/** Where the slowest group stands in a queue; undefined when no group reads it. */
export type SlowestReader = (topic: string, queueId: number) => number | undefined;

/** The topics of one broker and everything stored in them, within its limits. */
export class MessageStore {
  readonly #settings: BrokerSettings;
  readonly #slowestReader: SlowestReader;
  readonly #topics = new Map<string, MemoryQueue[]>();
  readonly #types = new Map<string, TopicType>();
  readonly #routeListeners = new Set<(topic: string) => void>();
  #messages = 0;
  #bytes = 0;
  #commitLogOffset = 0;

  constructor(settings: BrokerSettings, slowestReader: SlowestReader) {
    this.#settings = settings;
    this.#slowestReader = slowestReader;
  }

  /** The queues of a topic; undefined when it does not exist. */
  queues(topic: string): readonly MemoryQueue[] | undefined {
    return this.#topics.get(topic);
  }

  topics(): readonly string[] {
    return [...this.#topics.keys()];
  }

  typeOf(topic: string): TopicType {
    return this.#types.get(topic) ?? 'NORMAL';
  }

  /** Creates the topic, or changes its type and how many queues it has. */
  createTopic(topic: string, queues: number, type: TopicType = 'NORMAL'): void {
    this.#types.set(topic, type);
    const existing = this.#topics.get(topic) ?? [];
    if (this.#topics.has(topic) && existing.length === queues) return;
    for (const queue of existing.splice(queues)) this.#drop(queue);
    while (existing.length < queues) existing.push(new MemoryQueue());
    this.#topics.set(topic, existing);
    this.#routeChanged(topic);
  }

  ensureTopic(topic: string, queues: number): readonly MemoryQueue[] {
    if (!this.#topics.has(topic)) this.createTopic(topic, queues);
    return this.#topics.get(topic)!;
  }

  deleteTopic(topic: string): void {
    const queues = this.#topics.get(topic);
    if (!queues) return;
    this.#topics.delete(topic);
    this.#types.delete(topic);
    for (const queue of queues) this.#drop(queue);
    this.#routeChanged(topic);
  }

  onRouteChange(listener: (topic: string) => void): () => void {
    this.#routeListeners.add(listener);
    return () => {
      this.#routeListeners.delete(listener);
    };
  }

  /**
   * Takes room for messages that are about to be stored, also for those that wait for their time or for the end of
   * their transaction.
   *
   * @throws BrokerError `BROKER_BUSY` when there is none
   */
  reserve(messages: readonly MessageToStore[]): void {
    const bytes = messages.reduce((sum, message) => sum + storedBytes(message), 0);
    if (!this.#hasRoom(messages.length, bytes)) this.#forgetConsumed();
    if (!this.#hasRoom(messages.length, bytes)) {
      throw refusal(
        'BROKER_BUSY',
        Answer.SYSTEM_BUSY,
        `The in-process broker is full: ${this.#messages} messages, ${this.#bytes} bytes. Consume or delete topics, or raise maxMessages and maxBytes.`,
        true,
      );
    }
    this.#messages += messages.length;
    this.#bytes += bytes;
  }

  release(message: MessageToStore): void {
    this.#messages--;
    this.#bytes -= storedBytes(message);
  }

  /** Stores a message room was reserved for. A topic deleted meanwhile comes back. */
  append(message: MessageToStore): StoredMessage {
    const queues = this.ensureTopic(message.topic, message.queueId + 1);
    const queueId = Math.min(message.queueId, queues.length - 1);
    const { clock } = this.#settings;
    return queues[queueId]!.append(message, queueId, this.nextCommitLogOffset(message), clock.now());
  }

  /** Every write has its own, rising address, whichever queue it is for. */
  nextCommitLogOffset(message: MessageToStore): number {
    const offset = this.#commitLogOffset;
    this.#commitLogOffset += storedBytes(message);
    return offset;
  }

  #hasRoom(messages: number, bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#settings;
    return this.#messages + messages <= maxMessages && this.#bytes + bytes <= maxBytes;
  }

  #forgetConsumed(): void {
    for (const [topic, queues] of this.#topics) {
      for (const [queueId, queue] of queues.entries()) {
        const consumed = this.#slowestReader(topic, queueId);
        if (consumed !== undefined) this.#forget(queue.trimTo(consumed));
      }
    }
  }

  #forget(messages: readonly StoredMessage[]): void {
    for (const message of messages) this.release(message);
  }

  #drop(queue: MemoryQueue): void {
    this.#forget(queue.all());
    queue.close();
  }

  #routeChanged(topic: string): void {
    for (const listener of this.#routeListeners) listener(topic);
  }
}
