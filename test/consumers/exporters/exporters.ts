/**
 * A consumer of the published package that has the optional peers: figures for Prometheus, spans for OpenTelemetry.
 * On the in-process engine, so that nothing else is needed.
 */
import 'reflect-metadata';
import { type Context, propagation, type TextMapPropagator, type TextMapSetter } from '@opentelemetry/api';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessageHeaders, RocketMQListener, RocketMQModule, RocketMQTemplate } from 'nestjs-rocketmq';
import { RocketMQMetrics, RocketMQMetricsModule } from 'nestjs-rocketmq/metrics';
import { RocketMQTracingModule } from 'nestjs-rocketmq/tracing';
import { Registry } from 'prom-client';

@Injectable()
class Inventory {
  readonly seen: (string | undefined)[] = [];

  @RocketMQListener({ topic: 'orders', group: 'inventory', startFrom: 'first' })
  onOrder(@MessageHeaders('x-trace') trace: string | undefined): void {
    this.seen.push(trace);
  }
}

@Module({
  imports: [
    RocketMQModule.forRoot({ engine: 'memory', topics: 'create' }),
    RocketMQMetricsModule.forRoot({ registry: new Registry() }),
    RocketMQTracingModule.forRoot(),
  ],
  providers: [Inventory],
})
class AppModule {}

/** Stands for the SDK's: the library speaks to whatever the application has registered. */
const propagator: TextMapPropagator<unknown> = {
  fields: () => ['x-trace'],
  inject: (_context: Context, carrier: unknown, setter: TextMapSetter) =>
    setter.set(carrier, 'x-trace', 'here'),
  extract: (context) => context,
};

async function main(): Promise<void> {
  propagation.setGlobalPropagator(propagator);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  const { seen } = app.get(Inventory);
  await app.get(RocketMQTemplate).send('orders', {});
  const handled = async (): Promise<string | undefined> =>
    (await app.get(RocketMQMetrics).text())
      .split('\n')
      .find((line) => line.startsWith('rocketmq_listener_messages_total{'));
  const deadline = Date.now() + 45_000;
  let line = await handled();
  while (line === undefined && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    line = await handled();
  }
  await app.close();
  process.stdout.write(`${JSON.stringify({ seen, line })}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
