/**
 * A small application with HTTP and a listener that takes its time, to be stopped in the middle of its work. It tells
 * a file what happens, as it happens. What it does stands in the environment. Run from the sources here, and compiled
 * against the packed package with Nest 11 and 12 in test/e2e/package.
 */
import 'reflect-metadata';
import { appendFileSync } from 'node:fs';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Ctx,
  Payload,
  RocketMQContext,
  RocketMQListener,
  RocketMQListenerRegistry,
  RocketMQModule,
  RocketMQTemplate,
} from 'nestjs-rocketmq';

const read = (name: string): string => process.env[name] ?? '';
const topic = read('TOPIC');
const mode = read('MODE') === 'ordered' ? 'ordered' : 'concurrent';
const handlerMs = Number(read('HANDLER_MS'));

/** Stands for what handlers need: it takes its time to start, and ends where TypeOrmModule ends its DataSource. */
@Injectable()
class Witness implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  handled = 0;

  async onApplicationBootstrap(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 200));
    this.note('bootstrapped');
  }

  onModuleDestroy(): void {
    this.note('destroyed');
  }

  note(line: string): void {
    appendFileSync(read('WITNESS'), `${line}\n`);
  }

  onApplicationShutdown(): void {
    this.note('database closed');
  }
}

@Controller()
class Orders {
  constructor(
    @Inject(Witness) private readonly witness: Witness,
    @Inject(RocketMQTemplate) private readonly template: RocketMQTemplate,
    @Inject(RocketMQListenerRegistry) private readonly registry: RocketMQListenerRegistry,
  ) {}

  @Get('progress')
  progress(): unknown {
    return { handled: this.witness.handled, listeners: this.registry.list().map(({ state }) => state) };
  }

  @RocketMQListener({ topic, group: read('GROUP'), mode, startFrom: 'first', concurrency: 8 })
  async on(@Payload() order: { key: string; n: number }, @Ctx() context: RocketMQContext): Promise<void> {
    const what = `${order.key} ${order.n} ${context.attempt}`;
    this.witness.note(`begin ${what}`);
    await new Promise((resolve) => setTimeout(resolve, handlerMs));
    // Producers have to be there for as long as handlers run.
    await this.template.send(`${topic}-done`, order);
    this.witness.note(`end ${what}`);
    this.witness.handled++;
  }
}

@Module({
  imports: [RocketMQModule.forRoot({ nameServer: read('ROCKETMQ_NAME_SERVER') })],
  controllers: [Orders],
  providers: [Witness],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  process.stdout.write(`listening ${await app.getUrl()}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
