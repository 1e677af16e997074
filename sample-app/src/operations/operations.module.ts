import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { RocketMQMetricsModule } from 'nestjs-rocketmq/metrics';
import { Registry } from 'prom-client';
import { DeadLettersController } from './dead-letters.controller.js';
import { HealthController } from './health.controller.js';
import { MessageCounters } from './message-counters.js';
import { MetricsController } from './metrics.controller.js';
import { OutboxController } from './outbox.controller.js';

/** For the people who run the shop. */
@Module({
  imports: [
    TerminusModule,
    // A registry of its own, so that several shops fit into one process (as they do in tests).
    RocketMQMetricsModule.forRootAsync({ useFactory: () => ({ registry: new Registry() }) }),
  ],
  controllers: [HealthController, MetricsController, OutboxController, DeadLettersController],
  providers: [MessageCounters],
})
export class OperationsModule {}
