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

/** Runners of one topic. */
export interface RunnerRoute<R> {
  readonly byTag: ReadonlyMap<string, R>;
  readonly rest: R | undefined;
}

/** By topic. */
export type RunnerRoutes<R> = ReadonlyMap<string, RunnerRoute<R>>;

/** No handler wants the message: the group's subscription changed while it was under way. */
export type UnroutableListener = (message: ReceivedMessage) => void;

type Result = ConsumeResult | readonly ConsumeResult[];
type Dispatch = (messages: readonly ReceivedMessage[], delivery: DeliveryContext) => Promise<Result>;

/** Finds the listener of each message by topic and tag. */
export function dispatchSingly(
  routes: RunnerRoutes<HandlerRunner>,
  onUnroutable: UnroutableListener,
): Dispatch {
  const one = (message: ReceivedMessage, delivery: DeliveryContext): Promise<ConsumeResult> => {
    const runner = runnerOf(routes, message);
    if (runner !== undefined) return runner.run(message, delivery);
    onUnroutable(message);
    return Promise.resolve(RETRY);
  };
  return (messages, delivery) => {
    const [message] = messages;
    if (messages.length === 1 && message !== undefined) return one(message, delivery);
    return Promise.all(messages.map((each) => one(each, delivery)));
  };
}

/** Divides a batch among the listeners by topic and tag; each keeps the order. */
export function dispatchBatches(
  routes: RunnerRoutes<BatchRunner>,
  onUnroutable: UnroutableListener,
): Dispatch {
  return async (messages, delivery) => {
    const shares = new Map<BatchRunner, ReceivedMessage[]>();
    for (const message of messages) {
      const runner = runnerOf(routes, message);
      const share = runner && shares.get(runner);
      if (share !== undefined) share.push(message);
      else if (runner !== undefined) shares.set(runner, [message]);
      else onUnroutable(message);
    }
    const results = new Map<ReceivedMessage, ConsumeResult>();
    for (const [runner, share] of shares) {
      const answers = await runner.run(share, delivery);
      for (const [index, message] of share.entries()) results.set(message, answers[index] ?? RETRY);
    }
    return messages.map((message) => results.get(message) ?? RETRY);
  };
}

/**
 * Gives every call an async context of its own, made in `root`'s: nothing a handler or guard enters
 * (AsyncLocalStorage) is seen by another message, nor anything of whoever started the listener.
 */
export function isolated(root: AsyncResource, dispatch: Dispatch): MessageHandler {
  const inOwnContext: Dispatch = (messages, delivery) =>
    new AsyncResource('RocketMQMessage').runInAsyncScope(dispatch, undefined, messages, delivery);
  return (messages, delivery) => root.runInAsyncScope(inOwnContext, undefined, messages, delivery);
}

function runnerOf<R>(routes: RunnerRoutes<R>, { topic, tag }: ReceivedMessage): R | undefined {
  // A dead letter carries the topic it was sent to, and its reader subscribes to nothing else.
  const route = routes.get(topic) ?? (routes.size === 1 ? routes.values().next().value : undefined);
  if (route === undefined) return undefined;
  if (tag === undefined || route.byTag.size === 0) return route.rest;
  return route.byTag.get(tag) ?? route.rest;
}
