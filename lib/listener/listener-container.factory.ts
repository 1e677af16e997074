import type { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../client/clock.js';
import type { ClientLog, RocketMQClient } from '../client/rocketmq-client.js';
import type { RocketMQEvents } from '../observability/rocketmq-events.js';
import { BatchRunner } from './batch-runner.js';
import type { ConsumerPlan } from './consumer-plan.js';
import type { RunnerServices } from './handler-call.js';
import type { HandlerPipeline, HandlerPipelineFactory } from './handler-pipeline.js';
import { HandlerRunner } from './handler-runner.js';
import { HandlerWatch } from './handler-watch.js';
import { ListenerContainer } from './listener-container.js';
import type { ListenerDefinition } from './listener-definition.js';
import { type ListenerDefaults, type ListenerSettings, listenerSettings } from './listener-settings.js';
import {
  dispatchBatches,
  dispatchSingly,
  isolated,
  type RunnerRoutes,
  type UnroutableListener,
} from './message-dispatcher.js';
import { OutcomeReporter } from './message-outcome.js';
import type { Destination } from './topic-route.js';

export interface ContainerFactoryServices {
  readonly pipelines: HandlerPipelineFactory;
  readonly events: RocketMQEvents;
  readonly clock: Clock;
  readonly log: ClientLog;
  /** The async context handlers start from. */
  readonly root: AsyncResource;
}

/** Puts a consumer together from its plan: pipelines, runners, dispatch, watch. Once, at boot. */
export async function createListenerContainer(
  plan: ConsumerPlan,
  client: RocketMQClient,
  defaults: ListenerDefaults,
  services: ContainerFactoryServices,
): Promise<ListenerContainer> {
  const { clock, events, log, pipelines, root } = services;
  const settings = new Map(
    plan.definitions.map((definition) => [definition, listenerSettings(definition, plan, defaults)]),
  );
  const shortest = Math.min(...[...settings.values()].map(({ timeoutMs }) => timeoutMs));
  const shared: RunnerServices = { clock, watch: new HandlerWatch(clock, shortest), events };
  const { batch } = plan.definitions[0];

  const make = async <R>(Runner: RunnerClass<R>, { definition, handler }: Destination): Promise<R> => {
    const own = settings.get(definition) as ListenerSettings;
    const reporter = new OutcomeReporter(own, events, (error, { messageId, topic, attempt }) => {
      log(
        'error',
        `onExhausted failed listener=${definition.id} message=${messageId} topic=${topic} group=${plan.group} attempt=${attempt}; the message is a dead letter all the same, correct the hook`,
        error,
      );
    });
    return new Runner(handler, await pipelines.create(handler, batch), own, reporter, shared);
  };
  const onUnroutable: UnroutableListener = ({ messageId, topic, tag = '', attempt }) => {
    log(
      'warn',
      `no listener takes message=${messageId} topic=${topic} tag=${tag} group=${plan.group} attempt=${attempt}; it comes again, make all instances of the group subscribe to the same`,
    );
  };
  const dispatch = batch
    ? dispatchBatches(await routesOf(plan, (to) => make(BatchRunner, to)), onUnroutable)
    : dispatchSingly(await routesOf(plan, (to) => make(HandlerRunner, to)), onUnroutable);
  return new ListenerContainer(plan, {
    client,
    clock,
    events,
    handler: isolated(root, dispatch),
    watch: shared.watch,
    onConsumerError: (error, context) =>
      log('warn', `consumer of group "${plan.group}", connection "${plan.connection}": ${context}`, error),
  });
}

type RunnerClass<R> = new (
  target: Destination['handler'],
  pipeline: HandlerPipeline,
  settings: ListenerSettings,
  reporter: OutcomeReporter,
  services: RunnerServices,
) => R;

async function routesOf<R>(
  plan: ConsumerPlan,
  make: (destination: Destination) => Promise<R>,
): Promise<RunnerRoutes<R>> {
  const made = new Map<ListenerDefinition, Map<Destination['handler'], R>>();
  const runnerFor = async (destination: Destination): Promise<R> => {
    const ofListener = made.get(destination.definition) ?? new Map<Destination['handler'], R>();
    made.set(destination.definition, ofListener);
    const runner = ofListener.get(destination.handler) ?? (await make(destination));
    ofListener.set(destination.handler, runner);
    return runner;
  };
  const routes = new Map<string, { byTag: Map<string, R>; rest: R | undefined }>();
  for (const [topic, { byTag, rest }] of plan.routes) {
    const runners = new Map<string, R>();
    for (const [tag, destination] of byTag) runners.set(tag, await runnerFor(destination));
    routes.set(topic, { byTag: runners, rest: rest && (await runnerFor(rest)) });
  }
  return routes;
}
