import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { RocketMQTracingModule } from 'nestjs-rocketmq/tracing';
import { RequestSpanMiddleware } from './request-span.middleware.js';

/** One trace per request, to the last message it causes. */
@Module({ imports: [RocketMQTracingModule.forRoot()] })
export class TracingModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(RequestSpanMiddleware).forRoutes('{*path}');
  }
}
