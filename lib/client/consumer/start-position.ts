import type { MessageQueue } from '../../message/message.js';
import type { Clock } from '../clock.js';
import type { StartFrom } from '../push-consumer.js';
import type { ConsumerBroker } from './consumer-broker.js';
import type { ConsumerReports } from './consumer-reports.js';
import type { OffsetStore } from './offset-store.js';
import { isRetryTopic } from '../group-topics.js';

type OffsetRequests = Pick<ConsumerBroker, 'minOffset' | 'maxOffset' | 'searchOffset'>;

/**
 * Where a queue that was just assigned begins: at the stored offset, otherwise where `startFrom` says. Such a first
 * offset is stored at once, so that a successor of this member does not apply `startFrom` again and skip what came
 * in between. (Java: `RebalancePushImpl.computePullFromWhereWithException`.)
 *
 * `startFrom` is about groups that are new. A queue without an offset can also be one that came later, with a broker
 * or with more queues for its topic, or one whose broker was killed before it had written the offsets of its last
 * seconds. Java applies CONSUME_FROM_LAST_OFFSET to those too and skips what lies in them; this does not, as far as
 * it can know (docs/adr/0007).
 */
export class StartPosition {
  readonly #startFrom: StartFrom;
  readonly #offsets: Pick<OffsetStore, 'read' | 'persist' | 'lastKnown'>;
  readonly #requests: OffsetRequests;
  readonly #clock: Clock;
  readonly #reports: ConsumerReports;
  /** When this member began with the topic, epoch milliseconds, and whether it has had its whole share since. */
  readonly #topics = new Map<string, { readonly since: number; settled: boolean }>();

  constructor(
    startFrom: StartFrom,
    offsets: Pick<OffsetStore, 'read' | 'persist' | 'lastKnown'>,
    requests: OffsetRequests,
    clock: Clock,
    reports: ConsumerReports,
  ) {
    this.#startFrom = startFrom;
    this.#offsets = offsets;
    this.#requests = requests;
    this.#clock = clock;
    this.#reports = reports;
  }

  /** This member has all that was to be shared out: what comes from now on came later. */
  settled(topic: string): void {
    this.#begun(topic).settled = true;
  }

  /** No longer subscribed. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** @throws RocketMQError when it cannot be told now */
  async of(queue: MessageQueue): Promise<number> {
    const begun = this.#begun(queue.topic);
    const stored = await this.#offsets.read(queue);
    if (stored !== undefined) return stored;
    // Whatever lies in the retry topic was delivered to this group before.
    const first = isRetryTopic(queue.topic)
      ? await this.#requests.minOffset(queue)
      : Math.min(await this.#firstOffset(queue), await this.#owedFrom(queue, begun));
    await this.#offsets.persist([{ queue, offset: first }]);
    return first;
  }

  #firstOffset(queue: MessageQueue): Promise<number> {
    if (this.#startFrom === 'first') return this.#requests.minOffset(queue);
    if (this.#startFrom === 'last') return this.#requests.maxOffset(queue);
    return this.#requests.searchOffset(queue, this.#startFrom.getTime());
  }

  /** From here on the group wants the messages, whatever `startFrom` says. */
  async #owedFrom(
    queue: MessageQueue,
    { since, settled }: { since: number; settled: boolean },
  ): Promise<number> {
    const known = this.#offsets.lastKnown(queue);
    // Beyond the end it is another queue than the one this member remembers: its broker began anew.
    if (known !== undefined && known <= (await this.#requests.maxOffset(queue))) {
      this.#reports.info(
        `The broker lost the offset of ${queue.topic}@${queue.brokerName}:${queue.queueId}; this member remembers ${known}.`,
      );
      return known;
    }
    return settled ? this.#requests.searchOffset(queue, since) : Infinity;
  }

  #begun(topic: string): { readonly since: number; settled: boolean } {
    let begun = this.#topics.get(topic);
    if (begun === undefined) {
      begun = { since: this.#clock.now(), settled: false };
      this.#topics.set(topic, begun);
    }
    return begun;
  }
}
