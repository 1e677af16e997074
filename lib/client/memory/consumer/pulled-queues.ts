import type { MessageQueue, ReceivedMessage } from '../../../message/message.js';
import type { MessageMatcher } from '../filter/message-matcher.js';
import type { MemoryClientContext } from '../memory-client-context.js';
import { toReceivedMessage } from '../stored-message.js';

export interface PulledQueue {
  /** Topic as the broker knows it. */
  readonly queue: MessageQueue;
  /** The next message to hand out. */
  position: number;
  paused: boolean;
}

export interface QueueRead {
  readonly pulled: PulledQueue;
  /** Where it was read from, and where the next read begins. */
  readonly from: number;
  readonly to: number;
  readonly messages: readonly ReceivedMessage[];
}

/** The queues a pull consumer has, where it stands in each, and what it wants of their topics. */
export class PulledQueues {
  readonly #context: MemoryClientContext;
  readonly #batchSize: number;
  readonly #matchers = new Map<string, MessageMatcher>();
  readonly #byKey = new Map<string, PulledQueue>();
  readonly #waiting = new Set<() => void>();
  /** Queues in turn: the next read begins behind the last one served. */
  #turn = 0;

  constructor(context: MemoryClientContext, batchSize: number) {
    this.#context = context;
    this.#batchSize = batchSize;
  }

  /** Subscribed ones. */
  topics(): readonly string[] {
    return [...this.#matchers.keys()];
  }

  subscribe(topic: string, matcher: MessageMatcher): void {
    this.#matchers.set(topic, matcher);
  }

  unsubscribe(topic: string): boolean {
    return this.#matchers.delete(topic);
  }

  get(key: string): PulledQueue | undefined {
    return this.#byKey.get(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  set(key: string, queue: PulledQueue): void {
    this.#byKey.set(key, queue);
    this.wake();
  }

  /** There may be something to read now: whoever waits looks again. */
  wake(): void {
    for (const wake of this.#waiting) wake();
  }

  delete(key: string): void {
    this.#byKey.delete(key);
  }

  keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  all(): readonly PulledQueue[] {
    return [...this.#byKey.values()];
  }

  /** From the first queue in turn that has something. */
  readAny(): QueueRead | undefined {
    const all = [...this.#byKey.values()];
    for (let step = 0; step < all.length; step++) {
      const pulled = all[(this.#turn + step) % all.length]!;
      const read = pulled.paused ? undefined : this.#read(pulled);
      if (!read) continue;
      this.#turn = (this.#turn + step + 1) % all.length;
      return read;
    }
    return undefined;
  }

  /** Undefined when there is nothing behind the position. */
  #read(pulled: PulledQueue): QueueRead | undefined {
    const { broker, namespace } = this.#context;
    const { topic, queueId } = pulled.queue;
    const queue = broker.store.queues(topic)?.[queueId];
    if (!queue) return undefined;
    const matches = this.#matchers.get(topic);
    const limit = this.#batchSize;
    const messages: ReceivedMessage[] = [];
    let to = Math.min(Math.max(pulled.position, queue.minOffset), queue.maxOffset);
    for (let stored = queue.at(to); stored && messages.length < limit; stored = queue.at(to)) {
      to++;
      if (matches && !matches(stored.properties)) continue;
      messages.push(toReceivedMessage(stored, broker.name, (name) => namespace.unwrap(name)));
    }
    return to === pulled.position ? undefined : { pulled, from: pulled.position, to, messages };
  }

  /** Aborts at the next arrival in any queue, or when there may be something for another reason. */
  arrival(): { readonly signal: AbortSignal; stop(): void } {
    const controller = new AbortController();
    const { broker } = this.#context;
    const wake = (): void => controller.abort('arrived');
    this.#waiting.add(wake);
    const removes = [broker.store.onRouteChange(wake)];
    for (const topic of new Set([
      ...this.#matchers.keys(),
      ...Array.from(this.#byKey.values(), ({ queue }) => queue.topic),
    ])) {
      for (const queue of broker.store.queues(topic) ?? []) removes.push(queue.onArrival(wake));
    }
    return {
      signal: controller.signal,
      stop: () => {
        this.#waiting.delete(wake);
        for (const remove of removes) remove();
      },
    };
  }
}
