import type { MessageQueue } from '../../message/message.js';
import type { ClientLog } from '../rocketmq-client.js';
import type { QueueRoutes } from './consumer-broker.js';
import { queueKey } from './queue-key.js';

type QueuesListener = (queues: readonly MessageQueue[]) => void;

/** Tells listeners when the queues of a topic change. (Java: `TopicMessageQueueChangeListener`.) */
export class QueueChanges {
  readonly #routes: QueueRoutes;
  readonly #log: ClientLog;
  readonly #watches = new Set<() => void>();

  constructor(routes: QueueRoutes, log: ClientLog) {
    this.#routes = routes;
    this.#log = log;
  }

  /**
   * @param topic its name at the broker
   * @returns a function that ends it
   */
  watch(topic: string, listener: QueuesListener): () => void {
    let known: string | undefined;
    const look = async (): Promise<void> => {
      try {
        const queues = await this.#routes.subscribeQueues(topic);
        const keys = queues.map(queueKey).join();
        const changed = known !== undefined && known !== keys;
        known = keys;
        if (changed && this.#watches.has(end)) listener(queues);
      } catch (error) {
        // A topic that does not exist yet has no queues: all of them are new when it appears.
        known ??= '';
        this.#log('debug', `Queues of topic "${topic}" cannot be compared now.`, error);
      }
    };
    this.#routes.track(topic);
    const removeListener = this.#routes.onChange((changed) => {
      if (changed === topic) void look();
    });
    const end = (): void => {
      if (!this.#watches.delete(end)) return;
      removeListener();
      this.#routes.untrack(topic);
    };
    this.#watches.add(end);
    void look();
    return end;
  }

  close(): void {
    for (const end of this.#watches) end();
  }
}
