import { ACK, type ConsumeResult, type DeliveryContext, RETRY } from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { type CallOwner, HandlerCall, observe, type RunnerServices } from './handler-call.js';
import type { HandleObservation } from '../observability/instrumentation.js';
import { isConsumeResult } from './failure-policy.js';
import type { HandlerPipeline } from './handler-pipeline.js';
import type { HandlerTarget } from './listener-definition.js';
import type { ListenerSettings } from './listener-settings.js';
import {
  HANDLED,
  type Outcome,
  outcomeOfError,
  outcomeOfResult,
  type OutcomeReporter,
  scheduledDelay,
} from './message-outcome.js';
import { RejectMessage } from './reject-message.js';
import { RetryLater } from './retry-later.js';
import { RocketMQContext } from './rocketmq-context.js';

type Results = readonly ConsumeResult[];

/**
 * Runs one handler method for several messages at a time. An item that cannot be decoded or is invalid is settled
 * alone, by the listener's policies, and the handler gets the others.
 */
export class BatchRunner implements CallOwner<Results> {
  constructor(
    readonly target: HandlerTarget,
    readonly pipeline: HandlerPipeline,
    readonly settings: ListenerSettings,
    readonly reporter: OutcomeReporter,
    readonly services: RunnerServices,
  ) {}

  /** Never rejects; one result per message, in their order. */
  run(messages: readonly ReceivedMessage[], delivery: DeliveryContext): Promise<Results> {
    const observation = observe(this, messages);
    if (observation === undefined) return this.handle(messages, delivery, undefined);
    return observation
      .run(() => this.handle(messages, delivery, observation))
      .finally(() => observation.end());
  }

  private async handle(
    messages: readonly ReceivedMessage[],
    delivery: DeliveryContext,
    observation: HandleObservation | undefined,
  ): Promise<Results> {
    const now = this.services.clock.now();
    for (const message of messages) this.reporter.received(message, now);
    const { items, settled } = await this.prepare(messages, delivery, observation);
    if (items.length > 0) {
      const context = new RocketMQContext(
        items.map(({ message }) => message),
        this.settings.identity,
        delivery,
      );
      context.observation = observation;
      const payloads = items.map(({ payload }) => payload);
      const results = await new Promise<Results>((resolve) => {
        const call = new HandlerCall<Results>(this, context, this.services.clock.monotonic(), resolve);
        this.process(call, payloads).then(resolve, () => resolve(items.map(() => RETRY)));
      });
      for (const [index, { message }] of items.entries()) settled.set(message, results[index] ?? RETRY);
    }
    return messages.map((message) => settled.get(message) ?? RETRY);
  }

  giveUp({ context, bound, startedAt }: HandlerCall<Results>, error: Error): Promise<Results> {
    const outcomes = context.messages.map(({ attempt }): Outcome => ({
      action: 'retry',
      delayMs: scheduledDelay(this.settings, attempt, error),
      error,
    }));
    return this.report(outcomes, context, bound?.instance, this.services.clock.monotonic() - startedAt);
  }

  private async prepare(
    messages: readonly ReceivedMessage[],
    delivery: DeliveryContext,
    observation: HandleObservation | undefined,
  ): Promise<{ items: Item[]; settled: Map<ReceivedMessage, ConsumeResult> }> {
    const items: Item[] = [];
    const settled = new Map<ReceivedMessage, ConsumeResult>();
    for (const message of messages) {
      let undecodable = true;
      try {
        let payload = this.decode(message);
        undecodable = false;
        if (this.target.itemPipe !== undefined) {
          payload = await this.target.itemPipe.transform(payload, { type: 'body' });
        }
        items.push({ message, payload });
      } catch (error) {
        const outcome = outcomeOfError(error, this.settings, message.attempt, { undecodable });
        const context = new RocketMQContext([message], this.settings.identity, delivery);
        context.observation = observation;
        const [result] = await this.report([outcome], context, undefined, 0);
        settled.set(message, result ?? RETRY);
      }
    }
    return { items, settled };
  }

  private decode(message: ReceivedMessage): unknown {
    try {
      return this.settings.serializer.deserialize(message.body, message);
    } catch (error) {
      if (this.target.usesPayload) throw error;
      return undefined;
    }
  }

  private async process(call: HandlerCall<Results>, payloads: readonly unknown[]): Promise<Results> {
    const { context } = call;
    let outcomes: readonly Outcome[];
    try {
      call.bound = this.pipeline.bound ?? (await this.pipeline.bind(context));
      outcomes = this.outcomesOf(await call.bound.invoke(payloads, context), context);
    } catch (error) {
      outcomes = await this.outcomesOfFailure(call, payloads, error);
    }
    this.services.watch.remove(call);
    if (call.givenUp) return context.messages.map(() => RETRY);
    const durationMs = this.services.clock.monotonic() - call.startedAt;
    return this.report(outcomes, context, call.bound?.instance, durationMs);
  }

  private outcomesOf(value: unknown, context: RocketMQContext): readonly Outcome[] {
    const { messages } = context;
    if (!Array.isArray(value)) {
      return messages.map(({ attempt }) =>
        isConsumeResult(value) ? outcomeOfResult(value, this.settings, attempt) : HANDLED,
      );
    }
    if (value.length !== messages.length) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Batch listener "${context.listener}" returned ${value.length} results for ${messages.length} messages. Return one per message, or nothing to acknowledge all.`,
      );
    }
    return messages.map(({ attempt }, index) => {
      const item: unknown = value[index];
      if (isConsumeResult(item)) return outcomeOfResult(item, this.settings, attempt);
      return item instanceof Error ? outcomeOfError(item, this.settings, attempt) : HANDLED;
    });
  }

  private async outcomesOfFailure(
    call: HandlerCall<Results>,
    payloads: readonly unknown[],
    thrown: unknown,
  ): Promise<readonly Outcome[]> {
    const { context } = call;
    let error = thrown;
    if (!(error instanceof RetryLater) && !(error instanceof RejectMessage)) {
      context.failure = error;
      try {
        call.bound ??= this.pipeline.bound ?? (await this.pipeline.bind(context));
        const value = await call.bound.filter(payloads, context);
        if (value) return this.outcomesOf(value, context);
      } catch (rethrown) {
        error = rethrown;
      }
    }
    return context.messages.map(({ attempt }) =>
      outcomeOfError(error, this.settings, attempt, { reachedParameters: context.reachedParameters }),
    );
  }

  private async report(
    outcomes: readonly Outcome[],
    context: RocketMQContext,
    instance: object | undefined,
    durationMs: number,
  ): Promise<Results> {
    const results: ConsumeResult[] = [];
    for (const [index, message] of context.messages.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) results.push(ACK);
      else if (outcome.action === 'handled') results.push(this.reporter.handled(message, durationMs));
      else {
        const own = new RocketMQContext([message], this.settings.identity, {
          group: context.group,
          signal: context.signal,
        });
        own.observation = context.observation;
        results.push(await this.reporter.failed(outcome, message, own, instance, durationMs));
      }
    }
    return results;
  }
}

interface Item {
  readonly message: ReceivedMessage;
  readonly payload: unknown;
}
