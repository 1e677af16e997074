import {
  Injectable,
  Scope,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { IsInt, IsPositive, IsString, Length } from 'class-validator';
import { map, type Observable } from 'rxjs';
import { z } from 'zod';
import { ACK, type MessageHandler } from '../../lib/client/push-consumer.js';
import { Ctx, Payload } from '../../lib/listener/handler-parameters.decorator.js';
import { RocketMQListener } from '../../lib/listener/rocketmq-listener.decorator.js';
import type { RocketMQContext } from '../../lib/listener/rocketmq-context.js';
import type { BenchContext } from '../context.js';
import { handOver, startHandOver } from '../hand-over.js';
import { interleave, type Contender } from '../measure.js';
import { differenceTarget, OURS, type Area } from '../report.js';

class Order {
  @IsString()
  @Length(1, 40)
  id!: string;

  @IsInt()
  @IsPositive()
  quantity!: number;

  @IsString()
  product!: string;
}

const BODY = Buffer.from(JSON.stringify({ id: 'order-1', quantity: 3, product: 'teapot' }));
const TOPIC = 'bench-listener';
/** As many calls at a time as a listener has by default. */
const CONCURRENCY = 20;

let handled = 0;

/** Says the types of a handler's parameters, which the compiler of the bench leaves out. */
const takes = (...types: unknown[]): MethodDecorator => Reflect.metadata('design:paramtypes', types);

@Injectable()
class PassThrough implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value: unknown) => value));
  }
}

@Injectable()
class Handlers {
  @RocketMQListener({ topic: TOPIC, group: 'bare' })
  bare(_order: Order): void {
    handled++;
  }

  @RocketMQListener({ topic: TOPIC, group: 'decorated' })
  async decorated(@Payload() _order: Order, @Ctx() _context: RocketMQContext): Promise<void> {
    handled++;
  }

  @RocketMQListener({ topic: TOPIC, group: 'validated' })
  @UsePipes(new ValidationPipe({ transform: true }))
  @takes(Order)
  async validated(@Payload() _order: Order): Promise<void> {
    handled++;
  }

  @RocketMQListener({ topic: TOPIC, group: 'schema' })
  async schema(
    @Payload({
      schema: z.object({ id: z.string().min(1).max(40), quantity: z.int().positive(), product: z.string() }),
    })
    _order: Order,
  ): Promise<void> {
    handled++;
  }

  @RocketMQListener({ topic: TOPIC, group: 'intercepted' })
  @UseInterceptors(PassThrough, PassThrough)
  async intercepted(@Payload() _order: Order): Promise<void> {
    handled++;
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerMessage {
  @RocketMQListener({ topic: TOPIC, group: 'request-scoped' })
  async perMessage(@Payload() _order: Order): Promise<void> {
    handled++;
  }
}

/** What a handler given to the plain client does. */
const plain: MessageHandler = (messages) => {
  for (const { body } of messages) {
    JSON.parse(body.toString());
    handled++;
  }
  return Promise.resolve(ACK);
};

const pipe = new ValidationPipe({ transform: true });

/** The least a validated handler can cost: the same pipe, called by hand. */
const plainValidated: MessageHandler = async (messages) => {
  for (const { body } of messages) {
    await pipe.transform(JSON.parse(body.toString()), { type: 'body', metatype: Order });
    handled++;
  }
  return ACK;
};

/** What a listener costs beside the same handler given to the plain client, in CPU of this process. */
export async function benchListener({ plan, progress }: BenchContext): Promise<readonly Area[]> {
  const { app, handler } = await startHandOver({ providers: [Handlers, PerMessage, PassThrough] });
  const contender = (name: string, call: MessageHandler): Contender => ({
    name,
    round: (durationMs) =>
      handOver(call, { topic: TOPIC, body: BODY }, { concurrency: CONCURRENCY, durationMs }),
  });
  const names = {
    plain: 'plain client',
    bare: OURS,
    decorated: 'with @Payload and @Ctx',
    plainValidated: 'plain client, ValidationPipe called by hand',
    validated: 'with ValidationPipe (class-validator)',
    schema: 'with a schema (zod)',
    intercepted: 'with two interceptors',
    scoped: 'request-scoped',
  };
  try {
    progress('listener, messages handed over in this process');
    const figures = await interleave(
      [
        contender(names.plain, plain),
        contender(names.bare, handler('bare')),
        contender(names.decorated, handler('decorated')),
        contender(names.plainValidated, plainValidated),
        contender(names.validated, handler('validated')),
        contender(names.schema, handler('schema')),
        contender(names.intercepted, handler('intercepted')),
        contender(names.scoped, handler('request-scoped')),
      ],
      plan,
      'cpu',
    );
    return [
      {
        title: 'Listener: CPU per message, JSON decoded, empty handler',
        unit: 'us of CPU',
        rows: [
          {
            what: `${CONCURRENCY} at a time`,
            figures: figures.map((each) => ({ ...each, cpuMicros: undefined })),
            targets: [
              differenceTarget(figures, names.bare, names.plain, 10),
              differenceTarget(figures, names.validated, names.plain, 25),
            ],
          },
        ],
        notes: [`${handled.toLocaleString('en-US')} messages were handled, those of the warm-up included.`],
      },
    ];
  } finally {
    await app.close();
  }
}
