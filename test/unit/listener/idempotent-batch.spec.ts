import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RetryLater, RocketMQContext } from 'nestjs-rocketmq';
import { lastValueFrom, of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { HandlerDecision, Idempotency, IdempotentCall } from '../../../lib/idempotency/idempotency.js';
import { IdempotencyInterceptor } from '../../../lib/idempotency/idempotency.interceptor.js';
import { received } from '../../support/scripted-client.js';

/** What the inbox is asked to do when a handler gets this payload and answers so. The inbox itself has its tests with databases. */
async function handled(
  batch: boolean,
  payload: unknown,
  answer: unknown,
): Promise<{ payloads: readonly unknown[]; decision: HandlerDecision; value: unknown }> {
  let asked: IdempotentCall | undefined;
  let decision: HandlerDecision | undefined;
  const inbox: Pick<Idempotency, 'runInTransaction'> = {
    runInTransaction: async (call) => {
      asked = call;
      decision = await call.handle(call.messages.map((_message, index) => index));
      return decision.value;
    },
  };
  const messages = batch ? (payload as unknown[]).map((item) => received(item)) : [received(payload)];
  const context = new RocketMQContext(
    messages,
    { listener: 'Orders.on', group: 'g', connection: 'default', batch, maxAttempts: 17 },
    { group: 'g', signal: new AbortController().signal },
  );
  const execution = {
    getType: () => 'rocketmq',
    getHandler: () => handled,
    getClass: () => RocketMQContext,
    getArgs: () => [payload, context],
  };
  const interceptor = new IdempotencyInterceptor(inbox as Idempotency, new Reflector());
  const value = await lastValueFrom(
    interceptor.intercept(execution as unknown as ExecutionContext, { handle: () => of(answer) }),
  );
  return { payloads: asked!.payloads, decision: decision!, value };
}

describe('an idempotent listener', () => {
  it('of batches has a payload per message, also when there is only one', async () => {
    expect((await handled(true, ['a', 'b'], undefined)).payloads).toEqual(['a', 'b']);
    const again = new RetryLater('1s');
    const { payloads, decision, value } = await handled(true, ['a'], [again]);
    expect(payloads).toEqual(['a']);
    expect([...decision.undone]).toEqual([0]);
    expect(value).toEqual([again]);
  });

  it('of single messages takes an array for a payload and for a plain answer', async () => {
    const { payloads, decision } = await handled(false, ['a'], [new Error('no decision, only data')]);
    expect(payloads).toEqual([['a']]);
    expect([...decision.undone]).toEqual([]);
  });

  it('records nothing of a message its handler wants again', async () => {
    const { decision } = await handled(false, 'a', { action: 'retry', delayMs: 1 });
    expect([...decision.undone]).toEqual([0]);
  });
});
