import type { AsyncResource } from 'node:async_hooks';
import type { ClientLog, RocketMQClient } from '../client/rocketmq-client.js';
import type { Clock } from '../client/clock.js';
import type { MessageHandler } from '../client/push-consumer.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { BatchRunner } from './batch-runner.js';
import type { ConsumerPlan, Destination } from './consumer-plan.js';
import type { RunnerServices } from './handler-call.js';
import type { HandlerPipelineFactory } from './handler-pipeline.js';
import { HandlerRunner } from './handler-runner.js';
import { HandlerWatch } from './handler-watch.js';
import { ListenerContainer } from './listener-container.js';
import { type ListenerDefaults, listenerSettings } from './listener-settings.js';
import {
  BatchDispatcher,
  MessageDispatcher,
  type Runner,
  type RunnerRoute,
  type UnroutableListener,
} from './message-dispatcher.js';
import { OutcomeReporter } from './message-outcome.js';

export interface ContainerFactoryServices {
  readonly pipelines: HandlerPipelineFactory;
  readonly events: RocketMQEvents;
  readonly clock: Clock;
  readonly log: ClientLog;
  /** The async context handlers start from. */
  readonly root: AsyncResource;
}

/** Puts a consumer together from its plan: pipelines, runners, dispatcher, watch. Once, at boot. */
export async function createListenerContainer(
  plan: ConsumerPlan,
  client: RocketMQClient,
  defaults: ListenerDefaults,
  services: ContainerFactoryServices,
): Promise<ListenerContainer> {
  const { events, clock, log, root } = services;
  const settings = new Map(
    plan.definitions.map((definition) => [definition, listenerSettings(definition, plan, defaults)]),
  );
  const timeouts = [...settings.values()].map(({ timeoutMs }) => timeoutMs);
  const watch = new HandlerWatch(clock, Math.min(...timeouts));
  const onUnroutable: UnroutableListener = ({ messageId, topic, tag }) => {
    log(
      'warn',
      `no listener of group "${plan.group}" takes message=${messageId} topic=${topic} tag=${tag ?? ''}; it comes again, make all instances of the group subscribe to the same`,
    );
  };
  const [{ batch }] = plan.definitions;
  const runner = batch
    ? runnerMaker(BatchRunner, true, { clock, watch })
    : runnerMaker(HandlerRunner, false, { clock, watch });
  const handler: MessageHandler = batch
    ? new BatchDispatcher(root, await routesOf(plan, runner as MakeRunner<BatchRunner>), onUnroutable).handle
    : new MessageDispatcher(root, await routesOf(plan, runner as MakeRunner<HandlerRunner>), onUnroutable)
        .handle;
  const onConsumerError = (error: Error, context: string): void => {
    log('warn', `consumer of group "${plan.group}", connection "${plan.connection}": ${context}`, error);
  };
  return new ListenerContainer(plan, { client, events, handler, watch, onConsumerError });

  function runnerMaker<R extends Runner>(
    Class: new (...args: ConstructorParameters<typeof HandlerRunner>) => R,
    isBatch: boolean,
    shared: RunnerServices,
  ): MakeRunner<R> {
    return async ({ definition, handler: target }) => {
      const own = settings.get(definition) as ReturnType<typeof listenerSettings>;
      const reporter = new OutcomeReporter(own, events, (error, event) => {
        log(
          'error',
          `onExhausted of listener "${event.listener}" failed message=${event.messageId} topic=${event.topic} group=${event.group} attempt=${event.attempt}; the message is a dead letter all the same, correct the hook`,
          error,
        );
      });
      return new Class(target, await services.pipelines.create(target, isBatch), own, reporter, shared);
    };
  }
}

type MakeRunner<R extends Runner> = (destination: Destination) => Promise<R>;

async function routesOf<R extends Runner>(
  plan: ConsumerPlan,
  make: MakeRunner<R>,
): Promise<ReadonlyMap<string, RunnerRoute<R>>> {
  const routes = new Map<string, RunnerRoute<R>>();
  for (const [topic, route] of plan.routes) {
    const made = new Map<Destination['handler'], R>();
    const runnerFor = async (destination: Destination): Promise<R> => {
      const known = made.get(destination.handler) ?? (await make(destination));
      made.set(destination.handler, known);
      return known;
    };
    const byTag = new Map<string, R>();
    for (const [tag, destination] of route.byTag) byTag.set(tag, await runnerFor(destination));
    routes.set(topic, { byTag, rest: route.rest && (await runnerFor(route.rest)) });
  }
  return routes;
}
