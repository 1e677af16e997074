import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { rocketmqMigrations } from 'nestjs-rocketmq/migrations';
import { AppConfig } from '../config/app-config.js';
import { Orders1760000000001 } from './migrations/1760000000001-orders.js';
import { Inventory1760000000002 } from './migrations/1760000000002-inventory.js';
import { Payment1760000000003 } from './migrations/1760000000003-payment.js';

/** The library brings migrations for its tables (outbox, inbox, transaction log); they run beside our own. */
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [AppConfig],
      useFactory: (config: AppConfig) => ({
        type: 'postgres',
        url: config.databaseUrl,
        autoLoadEntities: true,
        migrations: [
          ...rocketmqMigrations,
          Orders1760000000001,
          Inventory1760000000002,
          Payment1760000000003,
        ],
        migrationsRun: true,
        // Every listener that handles a message holds a connection for its transaction.
        poolSize: 20,
        retryAttempts: 3,
      }),
    }),
  ],
})
export class DatabaseModule {}
