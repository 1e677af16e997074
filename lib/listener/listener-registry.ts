import { Injectable } from '@nestjs/common';
import type { CachedMessages } from '../client/push-consumer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import type { ListenerContainer, ListenerState } from './listener-container.js';
import type { ListenerDefinition } from './listener-definition.js';

/** A listener, for operators and health. */
export interface ListenerInfo {
  readonly id: string;
  readonly connection: string;
  readonly group: string;
  readonly topic: string;
  /**
   * `clustering`: the members of the group share the messages, the broker keeps their offsets. `broadcasting`: every
   * process gets all of them and keeps its offsets itself. Listeners of a group have the same.
   */
  readonly model: 'clustering' | 'broadcasting';
  /** `disabled` by option: it has no consumer. */
  readonly state: ListenerState | 'disabled';
  /** Message queues this process owns for its topic, as `topic@broker:queueId`. */
  readonly queues: readonly string[];
  /** Handler calls under way in its group's consumer. */
  readonly inFlight: number;
  /** Messages its group's consumer holds in memory. */
  readonly cached: CachedMessages;
}

/** @default 10000 */
export const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;

/**
 * Pauses, resumes, stops and starts listeners at run time. Without an id, all of them.
 *
 * Listeners of one connection and group are one consumer. Pausing works on a topic of it (listeners that divide
 * the tags of a topic pause together); stopping and starting work on the whole consumer.
 */
@Injectable()
export class RocketMQListenerRegistry {
  private readonly containers = new Map<string, ListenerContainer>();
  private definitions: readonly ListenerDefinition[] = [];
  private drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS;
  private gate: () => Promise<void> = () => Promise.resolve();

  /**
   * For the module, at boot.
   * @param gate opens connections before the first listener starts
   * @internal
   */
  adopt(
    definitions: readonly ListenerDefinition[],
    containers: readonly ListenerContainer[],
    drainTimeoutMs: number,
    gate: () => Promise<void>,
  ): void {
    this.definitions = definitions;
    this.drainTimeoutMs = drainTimeoutMs;
    this.gate = gate;
    this.containers.clear();
    for (const container of containers) {
      for (const { id } of container.plan.definitions) this.containers.set(id, container);
    }
  }

  /** Every listener of the application with its state, disabled ones too. */
  list(): readonly ListenerInfo[] {
    return this.definitions.map(({ id, options }) => {
      const container = this.containers.get(id);
      return {
        id,
        connection: options.connection ?? 'default',
        group: options.group,
        topic: options.topic,
        model: container?.plan.consumer.model ?? options.model ?? 'clustering',
        state: container?.stateOf(options.topic) ?? 'disabled',
        queues: (container?.assignment() ?? []).filter((queue) => queue.startsWith(`${options.topic}@`)),
        inFlight: container?.inFlight ?? 0,
        cached: container?.cached() ?? { messages: 0, bytes: 0 },
      };
    });
  }

  /**
   * No new handler calls; what runs may finish. Messages wait at the broker.
   * @throws RocketMQError `INVALID_ARGUMENT` when there is no such listener
   */
  pause(id?: string): void {
    for (const [container, topic] of this.chosen(id)) container.pause(topic);
  }

  /** @throws RocketMQError `INVALID_ARGUMENT` when there is no such listener */
  resume(id?: string): void {
    for (const [container, topic] of this.chosen(id)) container.resume(topic);
  }

  /**
   * Drains and leaves the group.
   * @throws RocketMQError `INVALID_ARGUMENT` when there is no such listener
   */
  async stop(id?: string, drainTimeoutMs: number = this.drainTimeoutMs): Promise<void> {
    await settleAll(this.consumersOf(id).map((container) => container.stop(drainTimeoutMs)));
  }

  /**
   * Starts what is stopped; also the way to start listeners after `autoStart: false`.
   * @throws RocketMQError what the engine said; `INVALID_ARGUMENT` when there is no such listener
   */
  async start(id?: string): Promise<void> {
    const containers = this.consumersOf(id);
    await this.gate();
    await settleAll(containers.map((container) => container.start()));
  }

  private chosen(id: string | undefined): [ListenerContainer, string][] {
    if (id === undefined) {
      return this.definitions.flatMap((definition) => {
        const container = this.containers.get(definition.id);
        return container === undefined
          ? []
          : [[container, definition.options.topic] as [ListenerContainer, string]];
      });
    }
    const container = this.find(id);
    const definition = this.definitions.find((each) => each.id === id) as ListenerDefinition;
    return [[container, definition.options.topic]];
  }

  private consumersOf(id: string | undefined): ListenerContainer[] {
    return id === undefined ? [...new Set(this.containers.values())] : [this.find(id)];
  }

  private find(id: string): ListenerContainer {
    const container = this.containers.get(id);
    if (container !== undefined) return container;
    const known = [...this.containers.keys()].sort().join(', ') || 'none';
    const disabled = this.definitions.some((each) => each.id === id);
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      disabled
        ? `Listener "${id}" is disabled by its options. Enable it and start the application again.`
        : `There is no listener "${id}". Known: ${known}.`,
    );
  }
}

/** Waits for all, then fails with the first error, so that one failure leaves nothing half done. */
async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
