import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { isConsumeResult } from '../listener/failure-policy.js';
import { RetryLater } from '../listener/retry-later.js';
import { ROCKETMQ_CONTEXT_TYPE, type RocketMQContext } from '../listener/rocketmq-context.js';
import { ACK } from '../client/push-consumer.js';
import type { ReceivedMessage } from '../message/message.js';
import { IDEMPOTENCY, IDEMPOTENT_METADATA } from './idempotency.tokens.js';
import { Idempotency, type HandlerDecision, type IdempotentCall } from './idempotency.js';
import type { IdempotentOptions } from './idempotency-options.js';
import { MessageBusyError } from './message-busy-error.js';

/** Runs a handler at most once per message; see `@Idempotent()`. A duplicate is acknowledged without running it. */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    @Inject(IDEMPOTENCY) private readonly idempotency: Idempotency,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (execution.getType<string>() !== ROCKETMQ_CONTEXT_TYPE) return next.handle();
    const options =
      this.reflector.getAllAndOverride<IdempotentOptions | undefined>(IDEMPOTENT_METADATA, [
        execution.getHandler(),
        execution.getClass(),
      ]) ?? {};
    const [payload, context] = execution.getArgs<[unknown, RocketMQContext]>();
    return from(this.run(payload, context, options, next));
  }

  private async run(
    payload: unknown,
    context: RocketMQContext,
    options: IdempotentOptions,
    next: CallHandler,
  ): Promise<unknown> {
    const all = [...context.messages];
    const batch = context.isBatch;
    const payloads: readonly unknown[] = batch ? [...(payload as unknown[])] : [payload];
    let ran = false;
    const call: IdempotentCall = {
      connection: context.connection,
      listener: context.listener,
      group: context.group,
      messages: all,
      payloads,
      options,
      setTransaction: (manager) => context.setTransaction(manager),
      handle: async (positions) => {
        ran = true;
        const invoke = (): Promise<unknown> => lastValueFrom(next.handle(), { defaultValue: undefined });
        if (!batch) return singleDecision(await invoke(), positions);
        if (positions.length === all.length) return batchDecision(await invoke(), positions, all.length);
        const value = await narrowed(payload as unknown[], context, positions, invoke);
        return batchDecision(value, positions, all.length);
      },
    };
    try {
      const value =
        options.mode === 'lease'
          ? await this.leased(call, batch)
          : await this.idempotency.runInTransaction(call);
      context.duplicate = !ran;
      return value;
    } catch (error) {
      if (error instanceof MessageBusyError) {
        throw new RetryLater(error.retryAfterMs, { reason: error.message, cause: error });
      }
      throw error;
    }
  }

  private leased(call: IdempotentCall, batch: boolean): Promise<unknown> {
    if (!batch) return this.idempotency.runWithLease(call);
    throw new Error(
      `Listener "${call.listener}" is a batch listener with @Idempotent({ mode: 'lease' }). A lease is for one message: use mode 'transaction', or a listener for single messages.`,
    );
  }
}

/** While the handler runs, payloads and messages of a batch are only those that are new. */
async function narrowed(
  payloads: unknown[],
  context: RocketMQContext,
  positions: readonly number[],
  invoke: () => Promise<unknown>,
): Promise<unknown> {
  const messages = context.messages as ReceivedMessage[];
  const before = { messages: [...messages], payloads: [...payloads] };
  replace(
    messages,
    positions.map((position) => before.messages[position] as ReceivedMessage),
  );
  replace(
    payloads,
    positions.map((position) => before.payloads[position]),
  );
  try {
    return await invoke();
  } finally {
    replace(messages, before.messages);
    replace(payloads, before.payloads);
  }
}

function replace<T>(list: T[], items: readonly T[]): void {
  list.splice(0, list.length, ...items);
}

/** Whatever a handler of single messages returns acknowledges, an array too, except a decision. */
function singleDecision(value: unknown, positions: readonly number[]): HandlerDecision {
  const wanted = isConsumeResult(value) && value.action !== 'ack';
  return { value, undone: new Set(wanted ? positions : []) };
}

/** Reads a batch handler's answer: which of the positions it wants again, and the answer for the whole call. */
function batchDecision(value: unknown, positions: readonly number[], total: number): HandlerDecision {
  if (isConsumeResult(value)) {
    const undone = value.action === 'ack' ? [] : positions;
    if (positions.length === total) return { value, undone: new Set(undone) };
    return {
      value: spread(
        positions.map(() => value),
        positions,
        total,
      ),
      undone: new Set(undone),
    };
  }
  if (!Array.isArray(value) || value.length !== positions.length) return { value, undone: new Set() };
  const answers: readonly unknown[] = value;
  const undone = positions.filter((_, index) => {
    const answer = answers[index];
    return answer instanceof Error || (isConsumeResult(answer) && answer.action !== 'ack');
  });
  return {
    value: positions.length === total ? value : spread(answers, positions, total),
    undone: new Set(undone),
  };
}

/** Answers for the positions that ran; the others are duplicates, and done. */
function spread(answers: readonly unknown[], positions: readonly number[], total: number): unknown[] {
  const all: unknown[] = Array.from({ length: total }, () => ACK);
  for (const [index, position] of positions.entries()) all[position] = answers[index];
  return all;
}
