import {
  type CallHandler,
  type CanActivate,
  Catch,
  createParamDecorator,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import {
  ACK,
  type FailureAction,
  type FailurePolicies,
  type ListenerOptions,
  Payload,
  RocketMQContext,
  RocketMQListener,
} from 'nestjs-rocketmq';
import type { Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { scriptedApp, type ScriptedAppOptions } from '../../support/scripted-app.js';
import { received } from '../../support/scripted-client.js';

@Injectable()
class Deny implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    return execution.switchToRpc().getData<{ denied?: boolean }>().denied !== true;
  }
}

/** A listener with a guard and a schema, and the message for each way not to reach it. */
function guarded(options: Partial<ListenerOptions>) {
  @Injectable()
  class Orders {
    @UseGuards(Deny)
    @RocketMQListener({ topic: 'orders', group: 'inventory', ...options })
    on(@Payload({ schema: z.object({ id: z.string() }) }) _order: unknown): void {
      throw new Error('was reached');
    }
  }
  return Orders;
}

const MESSAGES: Readonly<Record<keyof FailurePolicies, { body: unknown; reason: RegExp }>> = {
  guardDenied: { body: { denied: true, id: 'a' }, reason: /^denied by a guard: / },
  validation: { body: { id: 1 }, reason: /^invalid payload: id: / },
  undecodable: { body: Buffer.from('{oops'), reason: /^undecodable body: / },
};
const KINDS = Object.keys(MESSAGES) as (keyof FailurePolicies)[];

async function outcome(app: ScriptedAppOptions, kind: keyof FailurePolicies, attempt: number) {
  const { app: nest, consumer, events } = await scriptedApp(app);
  const [result] = await consumer('inventory').deliver(received(MESSAGES[kind].body, { attempt }));
  await nest.close();
  const told = events.map(({ name }) => name).filter((name) => /message\.(?!received)/.test(name));
  return { result, told };
}

describe.each(KINDS)('a message that does not reach its handler (%s)', (kind) => {
  const { reason } = MESSAGES[kind];
  const dead = { action: 'dead-letter', reason: expect.stringMatching(reason) as string };
  const listening = (action: FailureAction | undefined, own: Partial<ListenerOptions> = {}) => ({
    providers: [guarded({ ...own, ...(action && { failures: { [kind]: action } }) })],
  });

  it('is a dead letter at once, with the reason, unless told otherwise', async () => {
    for (const action of [undefined, 'reject'] as const) {
      const { result, told } = await outcome(listening(action), kind, 1);
      expect(result).toEqual(dead);
      expect(told).toEqual(['message.rejected']);
    }
  });

  it('is acknowledged when told so, which is an event', async () => {
    expect(await outcome(listening('ack'), kind, 1)).toEqual({ result: ACK, told: ['message.dropped'] });
  });

  it('is retried when told so, and not for ever', async () => {
    const own = { retry: '5s' } as const;
    expect(await outcome(listening('retry', own), kind, 16)).toEqual({
      result: { action: 'retry', delayMs: 5_000 },
      told: ['message.retried'],
    });
    const last = await outcome(listening('retry', own), kind, 17);
    expect(last.result).toMatchObject({ action: 'dead-letter' });
    expect(last.told).toEqual(['message.exhausted']);
  });

  it('does not hold the queue of an ordered listener for ever', async () => {
    const ordered = listening('retry', { mode: 'ordered' });
    expect((await outcome(ordered, kind, 16)).result).toMatchObject({ action: 'retry' });
    const last = await outcome(ordered, kind, 17);
    expect(last.result).toEqual(dead);
    expect(last.told).toEqual(['message.rejected']);
  });

  it('goes by the policies of the module, and of the listener before those', async () => {
    const module = { options: { failures: { [kind]: 'ack' } } } as const;
    expect((await outcome({ ...listening(undefined), ...module }, kind, 1)).result).toEqual(ACK);
    expect((await outcome({ ...listening('reject'), ...module }, kind, 1)).result).toEqual(dead);
  });
});

describe('a handler that fails', () => {
  @Injectable()
  class Failing {
    @RocketMQListener({ topic: 'orders', group: 'inventory', mode: 'ordered' })
    on(): void {
      throw new Error('not yet');
    }
  }

  it('holds the queue of an ordered listener for as long as it takes, unless maxAttempts is set', async () => {
    const failing = { providers: [Failing] };
    expect((await outcome(failing, 'guardDenied', 1_000)).result).toMatchObject({ action: 'retry' });
    const limited = { ...failing, options: { listeners: { 'Failing.on': { maxAttempts: 3 } } } };
    expect((await outcome(limited, 'guardDenied', 3)).result).toMatchObject({ action: 'dead-letter' });
  });
});

describe('global enhancers', () => {
  it('interceptors and filters are switched off alone, and without those of the class', async () => {
    const ran: string[] = [];
    const interceptor = (name: string) => {
      @Injectable()
      class Noting implements NestInterceptor {
        intercept(_execution: ExecutionContext, next: CallHandler): Observable<unknown> {
          ran.push(`${name} interceptor`);
          return next.handle();
        }
      }
      return Noting;
    };
    @Catch(TypeError)
    class GlobalFilter implements ExceptionFilter {
      catch(): string {
        ran.push('global filter');
        return 'handled';
      }
    }
    @Catch(RangeError)
    class OwnFilter implements ExceptionFilter {
      catch(): string {
        ran.push('own filter');
        return 'handled';
      }
    }
    @UseInterceptors(interceptor('own'))
    @UseFilters(OwnFilter)
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Payload() kind: string): void {
        throw kind === 'type' ? new TypeError(kind) : new RangeError(kind);
      }
    }
    const providers = [
      Orders,
      { provide: APP_INTERCEPTOR, useClass: interceptor('global') },
      { provide: APP_FILTER, useClass: GlobalFilter },
    ];
    for (const [enhancers, expected] of [
      [{}, ['global interceptor', 'own interceptor', 'global filter', 'ack']],
      [{ interceptors: false }, ['own interceptor', 'global filter', 'ack']],
      [{ filters: false }, ['global interceptor', 'own interceptor', 'retry']],
    ] as const) {
      ran.length = 0;
      const { app, consumer } = await scriptedApp({ providers, options: { enhancers } });
      const [result] = await consumer('inventory').deliver(received('type'));
      expect([...ran, result?.action]).toEqual(expected);
      expect(await consumer('inventory').deliver(received('range'))).toEqual([ACK]);
      expect(ran.at(-1)).toBe('own filter');
      await app.close();
    }
  });
});

describe("users' own parameter decorators", () => {
  it('run their pipes, and a pipe that fails is a failed validation', async () => {
    const seen: unknown[] = [];
    const Header = createParamDecorator(
      (name: string, execution: ExecutionContext) =>
        execution.switchToRpc().getContext<RocketMQContext>().message.headers[name],
    );
    @Injectable()
    class Orders {
      @RocketMQListener({ topic: 'orders', group: 'inventory' })
      on(@Header('version', ParseIntPipe) version: number, @Payload() order: unknown): void {
        seen.push(version, order);
      }
    }
    const { app, consumer } = await scriptedApp({ providers: [Orders] });
    await consumer('inventory').deliver(received({ id: 1 }, { headers: { version: '2' } }));
    expect(seen).toEqual([2, { id: 1 }]);
    const [result] = await consumer('inventory').deliver(
      received({ id: 1 }, { headers: { version: 'two' } }),
    );
    expect(result).toMatchObject({
      action: 'dead-letter',
      reason: expect.stringMatching(/^invalid payload/) as string,
    });
    await app.close();
  });
});
