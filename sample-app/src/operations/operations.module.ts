import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeadLetter } from './dead-letter.entity.js';
import { DeadLetterKeeper } from './dead-letter.listener.js';
import { DeadLettersService } from './dead-letters.service.js';
import { HealthController } from './health.controller.js';
import { MessageCounters } from './message-counters.js';
import { OperationsController } from './operations.controller.js';

/** Owns the table `dead_letters`. */
@Module({
  imports: [TypeOrmModule.forFeature([DeadLetter])],
  controllers: [HealthController, OperationsController],
  providers: [DeadLetterKeeper, DeadLettersService, MessageCounters],
})
export class OperationsModule {}
