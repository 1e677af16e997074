import { Module } from '@nestjs/common';
import { DeadLettersController } from './dead-letters.controller.js';
import { HealthController } from './health.controller.js';
import { MessageCounters } from './message-counters.js';
import { OutboxController } from './outbox.controller.js';

/** For the people who run the shop. */
@Module({
  controllers: [HealthController, OutboxController, DeadLettersController],
  providers: [MessageCounters],
})
export class OperationsModule {}
