import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RocketMQListener } from '../lib/listener/rocketmq-listener.decorator.js';
import { RocketMQListenerRegistry } from '../lib/listener/listener-registry.js';
import { RocketMQModule } from '../lib/module/rocketmq.module.js';
import { until } from './until.js';

let run = 0;

export interface StartedApp {
  readonly app: INestApplication;
  /** From the first line of `main` to the last queue. */
  readonly tookMs: number;
}

/** An application with one listener per topic, each in a group of its own; resolves when every queue is assigned. */
export async function startListeners(
  nameServer: string,
  topics: readonly string[],
  queues: number,
): Promise<StartedApp> {
  run++;
  const providers = topics.map((topic, index) =>
    listenerOf(topic, `bench-start-${process.pid}-${run}-${index}`),
  );
  const started = performance.now();
  const app = await NestFactory.create(
    { module: class App {}, imports: [RocketMQModule.forRoot({ nameServer, logging: false })], providers },
    { logger: false },
  );
  await app.init();
  const registry = app.get(RocketMQListenerRegistry);
  await until(() => registry.list().every((listener) => listener.queues.length === queues));
  return { app, tookMs: performance.now() - started };
}

function listenerOf(topic: string, group: string): Type {
  class Listener {
    handle(): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Listener.prototype, 'handle') as PropertyDescriptor;
  RocketMQListener({ id: group, topic, group })(Listener.prototype, 'handle', descriptor);
  return Listener;
}
