/**
 * A consumer of the published package, as small as it gets: one order placed, one stock booked.
 * Compiled and run against the packed tarball, as ESM and as CommonJS, with Nest 11 and 12.
 */
import 'reflect-metadata';
import { Global, Injectable, Module, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IsInt, IsString } from 'class-validator';
import {
  Ctx,
  Idempotent,
  Outbox,
  Payload,
  RocketMQContext,
  RocketMQListener,
  RocketMQModule,
  RocketMQTemplate,
  Tx,
} from 'nestjs-rocketmq';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { DataSource, EntityManager } from 'typeorm';

const topic = process.env['TOPIC'] ?? 'consumer-orders';

class OrderCreated {
  @IsString()
  sku!: string;
  @IsInt()
  quantity!: number;
}

@Injectable()
class Inventory {
  readonly seen: string[] = [];

  @RocketMQListener({ topic, group: `${topic}-inventory`, filter: 'created', startFrom: 'first' })
  @Idempotent()
  async onCreated(
    @Payload(new ValidationPipe({ transform: true })) order: OrderCreated,
    @Tx() tx: EntityManager,
    @Ctx() context: RocketMQContext,
  ): Promise<void> {
    await tx.query('INSERT INTO booked (sku, quantity) VALUES ($1, $2)', [order.sku, order.quantity]);
    this.seen.push(`${order instanceof OrderCreated}:${context.attempt}`);
  }
}

@Global()
@Module({
  providers: [
    {
      provide: DataSource,
      useFactory: async () => {
        const source = await new DataSource({
          type: 'postgres',
          url: process.env['DATABASE_URL'] as string,
          migrations: [...rocketmqMigrations],
          migrationsRun: true,
        }).initialize();
        await source.query('CREATE TABLE booked (sku text, quantity int)');
        return source;
      },
    },
  ],
  exports: [DataSource],
})
class DatabaseModule {}

@Module({
  imports: [
    DatabaseModule,
    RocketMQModule.forRoot({
      nameServer: process.env['ROCKETMQ_NAME_SERVER'] as string,
      topics: 'create',
      outbox: true,
      idempotency: true,
    }),
  ],
  providers: [Inventory],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  const source = app.get(DataSource);
  const messageId = await source.transaction(async (tx) => {
    const receipt = await app.get(Outbox).send(tx, `${topic}:created`, { sku: 'tea', quantity: 2 });
    return receipt.messageId;
  });
  // The same message once more: one effect.
  await app.get(RocketMQTemplate).send(`${topic}:created`, { sku: 'tea', quantity: 2 }, { messageId });
  const deadline = Date.now() + 45_000;
  let rows: unknown[] = [];
  while (rows.length === 0 && Date.now() < deadline) {
    rows = await source.query<unknown[]>('SELECT * FROM booked');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await app.close();
  // TypeOrmModule would do this; here the DataSource is the application's own.
  await source.destroy();
  const again = await new DataSource({
    type: 'postgres',
    url: process.env['DATABASE_URL'] as string,
  }).initialize();
  rows = await again.query<unknown[]>('SELECT * FROM booked');
  await again.destroy();
  process.stdout.write(
    `${JSON.stringify({ booked: rows, seen: app.get(Inventory).seen, resources: process.getActiveResourcesInfo() })}\n`,
  );
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
