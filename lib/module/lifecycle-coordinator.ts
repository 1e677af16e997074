import { AsyncResource } from 'node:async_hooks';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type Clock, pause } from '../client/clock.js';
import type { ClientLog } from '../client/rocketmq-client.js';
import {
  type ConsumerPlan,
  halfDisabledGroups,
  missingCapabilities,
  planConsumers,
} from '../listener/consumer-plan.js';
import { toMilliseconds } from '../message/duration.js';
import { HandlerPipelineFactory } from '../listener/handler-pipeline.js';
import type { ListenerContainer } from '../listener/listener-container.js';
import { createListenerContainer } from '../listener/listener-container.factory.js';
import type { ListenerDefaults } from '../listener/listener-settings.js';
import { configurationError, ListenerExplorer } from '../listener/listener-explorer.js';
import { DEFAULT_DRAIN_TIMEOUT_MS, RocketMQListenerRegistry } from '../listener/listener-registry.js';
import { RocketMQEvents } from '../observability/rocketmq-events.js';
import { idempotencyProblems } from './idempotency-check.js';
import { LIFECYCLE_PARTS, type LifecyclePart } from './lifecycle-part.js';
import { checkModuleOptions } from './module-options-check.js';
import { CLIENT_LOG, CLOCK } from './module.tokens.js';
import { MODULE_OPTIONS_TOKEN } from './rocketmq.module-definition.js';
import type { RocketMQConnection } from './rocketmq-connection.js';
import { RocketMQConnections } from './rocketmq-connections.js';
import type { RocketMQModuleOptions } from './rocketmq-module-options.js';
import { checkTopics, topicNeeds } from './topic-check.js';

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** What parts and producers get when the listeners used up the drain time. */
const LEAST_PART_TIME_MS = 1_000;

/** Lower than that of any other module. */
const LAST_TO_START = -1;

/**
 * The order of things. After every bootstrap hook of the application: everything is checked and every problem told at
 * once; connections open; parts (outbox relay, transaction checks) start; listeners start. Before any destroy hook:
 * listeners stop their intake and drain. When HTTP is closed, and before any database is: parts drain, producers,
 * connections.
 */
@Injectable()
export class LifecycleCoordinator implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private readonly root = new AsyncResource('RocketMQ');
  private readonly stopping = new AbortController();
  private starting: Promise<void> = Promise.resolve();
  private drained: Promise<number> | undefined;
  private closed: Promise<void> | undefined;
  private containers: readonly ListenerContainer[] = [];
  private readonly supervised: Promise<void>[] = [];

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: RocketMQModuleOptions,
    @Inject(RocketMQConnections) private readonly connections: RocketMQConnections,
    @Inject(ListenerExplorer) private readonly explorer: ListenerExplorer,
    @Inject(HandlerPipelineFactory) private readonly pipelines: HandlerPipelineFactory,
    @Inject(RocketMQListenerRegistry) private readonly registry: RocketMQListenerRegistry,
    @Inject(RocketMQEvents) private readonly events: RocketMQEvents,
    @Inject(LIFECYCLE_PARTS) private readonly parts: readonly LifecyclePart[],
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CLIENT_LOG) private readonly log: ClientLog,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {
    // Nest calls start hooks by descending distance, and stop hooks in the reverse order; it makes global modules the
    // farthest, which would have listeners run before anybody else has bootstrapped.
    for (const module of modules.values()) {
      if (module.providers.has(LifecycleCoordinator)) module.distance = LAST_TO_START;
    }
  }

  async onApplicationBootstrap(): Promise<void> {
    this.starting = this.root.runInAsyncScope(() => this.start());
    try {
      await this.starting;
    } catch (error) {
      // Nest calls no destroy hooks when bootstrap fails; nothing may keep the process alive.
      await this.close();
      throw error;
    }
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.starting.catch(() => undefined);
    await this.drainListeners();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  private async start(): Promise<void> {
    const { autoStart = true, startWithoutBroker = false } = this.options;
    const { definitions, problems: found } = await this.explorer.explore(this.options.listeners);
    const { plans, problems: unplannable } = planConsumers(definitions);
    const problems = [
      ...this.severalModules(),
      ...checkModuleOptions(this.options),
      ...[...this.connections].flatMap(({ name, problem }) =>
        problem === undefined ? [] : [`Connection "${name}": ${problem.message}`],
      ),
      ...found,
      ...unplannable,
      ...idempotencyProblems(definitions, Boolean(this.options.idempotency)),
      ...plans.flatMap((plan) => this.unsupported(plan)),
    ];
    for (const part of this.parts) problems.push(...((await part.check?.()) ?? []));
    for (const warning of halfDisabledGroups(definitions)) this.log('warn', warning);
    const known = plans.filter(({ connection }) => this.connections.has(connection));
    if (autoStart && !startWithoutBroker) problems.push(...(await this.reachOut(known)));
    if (problems.length > 0) throw configurationError(problems);

    this.containers = await Promise.all(known.map((plan) => this.container(plan)));
    this.registry.adopt(definitions, this.containers, this.drainTimeoutMs, () => this.prepare(known));
    if (this.stopping.signal.aborted) return;
    if (startWithoutBroker) await this.startSupervised(autoStart);
    else {
      for (const part of this.parts) await part.start();
      if (autoStart) await Promise.all(this.containers.map((container) => container.start()));
    }
  }

  /** Two modules would each start every listener. */
  private severalModules(): string[] {
    const count = [...this.modules.values()].filter(({ providers }) =>
      providers.has(LifecycleCoordinator),
    ).length;
    if (count <= 1) return [];
    return [
      `RocketMQModule.forRoot is imported ${count} times with different options. Import it once, with \`connections\` for further clusters.`,
    ];
  }

  private unsupported(plan: ConsumerPlan): string[] {
    if (!this.connections.has(plan.connection)) {
      const ids = plan.definitions.map(({ id }) => `"${id}"`).join(', ');
      return [
        `Listener ${ids} names connection "${plan.connection}", which does not exist. Known: ${this.connections.names().join(', ')}.`,
      ];
    }
    const connection = this.connections.get(plan.connection);
    if (connection.problem !== undefined) return [];
    const { client } = connection;
    return missingCapabilities(plan, client.engine, client.capabilities);
  }

  /** Opens every connection and looks at the topics. Resolves with what is wrong. */
  private async reachOut(plans: readonly ConsumerPlan[]): Promise<string[]> {
    const problems = await Promise.all(
      [...this.connections].map(async (connection) => {
        if (connection.problem !== undefined) return [];
        try {
          await connection.open();
        } catch (error) {
          return [
            `Connection "${connection.name}" cannot be opened: ${(error as Error).message} Or set startWithoutBroker: true to start all the same.`,
          ];
        }
        return this.topicProblems(connection, plans);
      }),
    );
    return problems.flat();
  }

  private topicProblems(
    { name, client, declaredTopics }: RocketMQConnection,
    plans: readonly ConsumerPlan[],
  ): Promise<string[]> {
    const own = plans.filter(({ connection }) => connection === name);
    return checkTopics(topicNeeds(own, declaredTopics), {
      admin: client.admin,
      policy: this.options.topics ?? 'check',
      warn: (warning) => this.log('warn', warning),
    });
  }

  /** What `registry.start()` needs first: open connections and topics. */
  private async prepare(plans: readonly ConsumerPlan[]): Promise<void> {
    const names = new Set(plans.map(({ connection }) => connection));
    const problems = await Promise.all(
      [...names].map(async (name) => {
        const connection = this.connections.get(name);
        await connection.open();
        return this.topicProblems(connection, plans);
      }),
    );
    if (problems.flat().length > 0) throw configurationError(problems.flat());
  }

  private container(plan: ConsumerPlan): Promise<ListenerContainer> {
    const { client, producer, serializer } = this.connections.get(plan.connection);
    const defaults: ListenerDefaults = {
      serializer,
      policies: this.options.failures ?? {},
      reply: async (request, reply) => {
        try {
          await producer.reply(request, reply);
        } catch (error) {
          const { messageId, topic, attempt } = request;
          this.log(
            'warn',
            `reply lost message=${messageId} topic=${topic} group=${plan.group} attempt=${attempt}; whoever asked has gone or cannot be reached, the request was handled`,
            error,
          );
        }
      },
    };
    return createListenerContainer(plan, client, defaults, {
      pipelines: this.pipelines,
      events: this.events,
      clock: this.clock,
      log: this.log,
      root: this.root,
    });
  }

  /** The first attempt is waited for; what fails is tried again in the background until it works or the application stops. */
  private async startSupervised(autoStart: boolean): Promise<void> {
    const tasks = this.parts.map((part) => () => part.start());
    if (autoStart) {
      for (const connection of this.connections) {
        const own = this.containers.filter(({ plan }) => plan.connection === connection.name);
        tasks.push(async () => {
          await connection.open();
          const problems = await this.topicProblems(
            connection,
            own.map(({ plan }) => plan),
          );
          if (problems.length > 0) {
            const error = configurationError(problems);
            for (const container of own) container.fail(error);
            throw error;
          }
          await Promise.all(own.map((container) => container.start()));
        });
      }
    }
    await Promise.all(
      tasks.map(async (task) => {
        if (!(await this.attempt(task, FIRST_RETRY_MS))) this.supervised.push(this.keepTrying(task));
      }),
    );
  }

  private async keepTrying(task: () => Promise<void>): Promise<void> {
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(delay * 2, LONGEST_RETRY_MS)) {
      await pause(this.clock, delay, this.stopping.signal);
      if (this.stopping.signal.aborted) return;
      if (await this.attempt(task, Math.min(delay * 2, LONGEST_RETRY_MS))) return;
    }
  }

  private async attempt(task: () => Promise<void>, nextMs: number): Promise<boolean> {
    try {
      await task();
      return true;
    } catch (error) {
      if (this.stopping.signal.aborted) return true;
      this.log('warn', `started without a broker, trying again in ${nextMs} ms: ${(error as Error).message}`);
      return false;
    }
  }

  /** Once; resolves with the milliseconds it took. Never rejects. */
  private drainListeners(): Promise<number> {
    this.stopping.abort();
    this.drained ??= (async () => {
      const startedAt = this.clock.monotonic();
      await Promise.all([...this.connections].map(({ name }) => this.drain(name, startedAt)));
      await Promise.all(this.supervised);
      return this.clock.monotonic() - startedAt;
    })();
    return this.drained;
  }

  /** Once. Never rejects: Nest 12 would only log it, Nest 11 would leave the database open. */
  private close(): Promise<void> {
    this.closed ??= (async () => {
      const left = this.drainTimeoutMs - (await this.drainListeners());
      await this.quietly('parts', () =>
        Promise.all(this.parts.map((part) => part.stop(Math.max(left, LEAST_PART_TIME_MS)))),
      );
      await Promise.all(
        [...this.connections].map((connection) =>
          this.quietly(`connection "${connection.name}"`, () => connection.close()),
        ),
      );
      this.root.emitDestroy();
    })();
    return this.closed;
  }

  private async drain(connection: string, startedAt: number): Promise<void> {
    const own = this.containers.filter(({ plan }) => plan.connection === connection);
    if (own.length === 0) return;
    this.events.emit('drain.start', { connection });
    let abandoned = 0;
    await Promise.all(
      own.map((container) =>
        this.quietly(`listeners of group "${container.plan.group}"`, async () => {
          container.retire();
          abandoned += await container.stop(this.drainTimeoutMs);
        }),
      ),
    );
    const durationMs = this.clock.monotonic() - startedAt;
    this.events.emit('drain.end', { connection, abandoned, durationMs });
  }

  private async quietly(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log('error', `${what} did not stop in order; what was not acknowledged is delivered again`, error);
    }
  }

  private get drainTimeoutMs(): number {
    const given = this.options.shutdown?.drainTimeout;
    return given === undefined ? DEFAULT_DRAIN_TIMEOUT_MS : toMilliseconds(given);
  }
}
