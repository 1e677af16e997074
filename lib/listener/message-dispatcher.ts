import { AsyncResource } from 'node:async_hooks';
import {
  type ConsumeResult,
  type DeliveryContext,
  type MessageHandler,
  RETRY,
} from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import type { BatchRunner } from './batch-runner.js';
import type { HandlerRunner } from './handler-runner.js';

export type Runner = HandlerRunner | BatchRunner;

/** Runners of one topic. */
export interface RunnerRoute<R extends Runner> {
  readonly byTag: ReadonlyMap<string, R>;
  readonly rest: R | undefined;
}

/** No handler wants the message: the group's subscription changed while it was under way. */
export type UnroutableListener = (message: ReceivedMessage) => void;

type Result = ConsumeResult | readonly ConsumeResult[];

/**
 * The handler of one push consumer: finds the listener by topic and tag, and gives every call an async context of
 * its own, so that nothing a handler or guard enters (AsyncLocalStorage) is seen by another message, nor anything
 * of whoever started the listener.
 */
abstract class IsolatingDispatcher {
  constructor(private readonly root: AsyncResource) {}

  readonly handle: MessageHandler = (messages, delivery) =>
    this.root.runInAsyncScope(this.isolate, this, messages, delivery);

  private isolate(messages: readonly ReceivedMessage[], delivery: DeliveryContext): Promise<Result> {
    return new AsyncResource('RocketMQMessage').runInAsyncScope(this.dispatch, this, messages, delivery);
  }

  protected abstract dispatch(
    messages: readonly ReceivedMessage[],
    delivery: DeliveryContext,
  ): Promise<Result>;
}

export class MessageDispatcher extends IsolatingDispatcher {
  constructor(
    root: AsyncResource,
    private readonly routes: ReadonlyMap<string, RunnerRoute<HandlerRunner>>,
    private readonly onUnroutable: UnroutableListener,
  ) {
    super(root);
  }

  protected override dispatch(
    messages: readonly ReceivedMessage[],
    delivery: DeliveryContext,
  ): Promise<Result> {
    const [message] = messages;
    if (messages.length === 1 && message !== undefined) return this.one(message, delivery);
    return Promise.all(messages.map((each) => this.one(each, delivery)));
  }

  private one(message: ReceivedMessage, delivery: DeliveryContext): Promise<ConsumeResult> {
    const runner = runnerOf(this.routes, message);
    if (runner !== undefined) return runner.run(message, delivery);
    this.onUnroutable(message);
    return Promise.resolve(RETRY);
  }
}

export class BatchDispatcher extends IsolatingDispatcher {
  constructor(
    root: AsyncResource,
    private readonly routes: ReadonlyMap<string, RunnerRoute<BatchRunner>>,
    private readonly onUnroutable: UnroutableListener,
  ) {
    super(root);
  }

  protected override async dispatch(
    messages: readonly ReceivedMessage[],
    delivery: DeliveryContext,
  ): Promise<Result> {
    const shares = new Map<BatchRunner, ReceivedMessage[]>();
    for (const message of messages) {
      const runner = runnerOf(this.routes, message);
      if (runner === undefined) this.onUnroutable(message);
      else {
        const share = shares.get(runner);
        if (share === undefined) shares.set(runner, [message]);
        else share.push(message);
      }
    }
    const results = new Map<ReceivedMessage, ConsumeResult>();
    for (const [runner, share] of shares) {
      const answers = await runner.run(share, delivery);
      for (const [index, message] of share.entries()) results.set(message, answers[index] ?? RETRY);
    }
    return messages.map((message) => results.get(message) ?? RETRY);
  }
}

function runnerOf<R extends Runner>(
  routes: ReadonlyMap<string, RunnerRoute<R>>,
  { topic, tag }: ReceivedMessage,
): R | undefined {
  const route = routes.get(topic);
  if (route === undefined) return undefined;
  if (tag === undefined || route.byTag.size === 0) return route.rest;
  return route.byTag.get(tag) ?? route.rest;
}
