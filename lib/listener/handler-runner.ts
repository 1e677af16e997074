import { type ConsumeResult, type DeliveryContext, RETRY } from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import { isConsumeResult } from './failure-policy.js';
import type { HandlerPipeline } from './handler-pipeline.js';
import { type CallOwner, HandlerCall, observe, type RunnerServices } from './handler-call.js';
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

/** Runs one handler method for one message at a time. */
export class HandlerRunner implements CallOwner<ConsumeResult> {
  constructor(
    readonly target: HandlerTarget,
    readonly pipeline: HandlerPipeline,
    readonly settings: ListenerSettings,
    readonly reporter: OutcomeReporter,
    readonly services: RunnerServices,
  ) {}

  /** Never rejects, and always resolves: at the latest when the handler's time is up. */
  run(message: ReceivedMessage, delivery: DeliveryContext): Promise<ConsumeResult> {
    const { clock } = this.services;
    this.reporter.received(message, clock.now());
    const context = new RocketMQContext([message], this.settings.identity, delivery);
    const observation = observe(this, context.messages);
    context.observation = observation;
    const result = new Promise<ConsumeResult>((resolve) => {
      const call = new HandlerCall(this, context, clock.monotonic(), resolve);
      const processed = observation
        ? observation.run(() => this.process(call, message))
        : this.process(call, message);
      processed.then(resolve, () => resolve(RETRY));
    });
    return observation ? result.finally(() => observation.end()) : result;
  }

  private async process(call: HandlerCall<ConsumeResult>, message: ReceivedMessage): Promise<ConsumeResult> {
    const { context } = call;
    let payload: unknown;
    let outcome: Outcome;
    try {
      payload = this.settings.serializer.deserialize(message.body, message);
    } catch (error) {
      if (this.target.usesPayload) {
        outcome = await this.handleFailure(call, undefined, error, true);
        return this.settle(call, message, outcome);
      }
      payload = undefined;
    }
    try {
      call.bound = this.pipeline.bound ?? (await this.pipeline.bind(context));
      const value = await call.bound.invoke(payload, context);
      outcome = isConsumeResult(value) ? outcomeOfResult(value, this.settings, message.attempt) : HANDLED;
      if (outcome === HANDLED && this.settings.reply !== undefined) await this.reply(call, message, value);
    } catch (error) {
      outcome = await this.handleFailure(call, payload, error, false);
    }
    return this.settle(call, message, outcome);
  }

  private async reply(
    call: HandlerCall<ConsumeResult>,
    message: ReceivedMessage,
    value: unknown,
  ): Promise<void> {
    // What the first delivery of a duplicate replied is not kept; whoever asked would take `null` for the answer.
    if (call.givenUp || call.context.duplicate || isConsumeResult(value)) return;
    await this.settings.reply?.(message, value);
  }

  /** Exception filters first; what they leave goes by the listener's policies. */
  private async handleFailure(
    call: HandlerCall<ConsumeResult>,
    payload: unknown,
    thrown: unknown,
    undecodable: boolean,
  ): Promise<Outcome> {
    const { context } = call;
    const { attempt } = context.message;
    let error = thrown;
    if (!(error instanceof RetryLater) && !(error instanceof RejectMessage)) {
      context.failure = error;
      try {
        call.bound ??= this.pipeline.bound ?? (await this.pipeline.bind(context));
        const value = await call.bound.filter(payload, context);
        if (isConsumeResult(value)) return outcomeOfResult(value, this.settings, attempt);
        // Nest 11 and 12 differ in what counts as handled; only this is the same on both, sync and async.
        if (value) {
          await this.reply(call, context.message, value);
          return HANDLED;
        }
      } catch (rethrown) {
        error = rethrown;
      }
    }
    return outcomeOfError(error, this.settings, attempt, {
      undecodable: undecodable && error === thrown,
      reachedParameters: context.reachedParameters,
    });
  }

  private settle(
    call: HandlerCall<ConsumeResult>,
    message: ReceivedMessage,
    outcome: Outcome,
  ): ConsumeResult | Promise<ConsumeResult> {
    this.services.watch.remove(call);
    // The message was given up; what its handler says now comes too late.
    if (call.givenUp) return RETRY;
    const durationMs = this.services.clock.monotonic() - call.startedAt;
    if (outcome.action === 'handled') return this.reporter.handled(message, durationMs);
    return this.reporter.failed(outcome, message, call.context, call.bound?.instance, durationMs);
  }

  giveUp({ context, bound, startedAt }: HandlerCall<ConsumeResult>, error: Error): Promise<ConsumeResult> {
    const { message } = context;
    const delayMs = scheduledDelay(this.settings, message.attempt, error);
    const durationMs = this.services.clock.monotonic() - startedAt;
    const outcome = { action: 'retry', delayMs, error } as const;
    return this.reporter.failed(outcome, message, context, bound?.instance, durationMs);
  }
}
