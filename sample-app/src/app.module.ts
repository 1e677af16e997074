import { Module, ValidationPipe } from '@nestjs/common';
import { APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { RocketMQModule } from 'nestjs-rocketmq';
import { TimingInterceptor } from './common/timing.interceptor.js';
import { AppConfig } from './config/app-config.js';
import { ConfigModule } from './config/config.module.js';
import { DatabaseModule } from './database/database.module.js';
import { InventoryModule } from './inventory/inventory.module.js';
import { OperationsModule } from './operations/operations.module.js';
import { OrdersModule } from './orders/orders.module.js';
import { PaymentModule } from './payment/payment.module.js';
import { TracingModule } from './tracing/tracing.module.js';

/**
 * Three services in one process. They share a database server and a broker, and nothing else: each has its tables,
 * and they talk only by messages. Any of them could move to a process of its own with the files it has.
 */
@Module({
  imports: [
    ConfigModule,
    TracingModule,
    DatabaseModule,
    RocketMQModule.forRootAsync({
      inject: [AppConfig],
      useFactory: (config: AppConfig) => ({
        nameServer: config.nameServer,
        ...(config.namespace && { namespace: config.namespace }),
        producer: { group: 'shop' },
        // Topics of listeners are created when they are missing. In production, 'check' tells at boot what is missing.
        topics: 'create',
        outbox: true,
        idempotency: true,
        transactions: true,
      }),
    }),
    OrdersModule,
    InventoryModule,
    PaymentModule,
    OperationsModule,
  ],
  providers: [
    { provide: APP_INTERCEPTOR, useClass: TimingInterceptor },
    {
      // For requests and for messages. A message that fails goes to the dead-letter topic: it would never get better.
      provide: APP_PIPE,
      useValue: new ValidationPipe({ whitelist: true, transform: true }),
    },
  ],
})
export class AppModule {}
