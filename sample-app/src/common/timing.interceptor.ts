import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
} from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { ROCKETMQ_CONTEXT_TYPE, type RocketMQContext } from 'nestjs-rocketmq';
import { type Observable, tap } from 'rxjs';

/** One interceptor for requests and messages alike; the type of the context tells which one it is. */
@Injectable()
export class TimingInterceptor implements NestInterceptor {
  private readonly logger = new Logger('Timing');

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const begin = performance.now();
    return next
      .handle()
      .pipe(
        tap(() => this.logger.debug(`${subject(context)}: ${(performance.now() - begin).toFixed(1)} ms`)),
      );
  }
}

function subject(context: ExecutionContext): string {
  if (context.getType<string>() === ROCKETMQ_CONTEXT_TYPE) {
    const { listener, attempt, message } = context.switchToRpc().getContext<RocketMQContext>();
    return `${listener}, message ${message.messageId}, attempt ${attempt}`;
  }
  const { method, url } = context.switchToHttp().getRequest<IncomingMessage>();
  return `${method} ${url}`;
}
