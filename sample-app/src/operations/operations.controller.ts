import { Controller, Get, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import { OutboxMetrics } from 'nestjs-rocketmq';
import { DeadLettersService, type ReadableDeadLetter } from './dead-letters.service.js';
import { MessageCounters, type MessageCounts } from './message-counters.js';
import { OperatorGuard } from './operator.guard.js';

export interface MessagingState extends MessageCounts {
  readonly outbox: { readonly pending: number; readonly retrying: number; readonly dead: number };
}

/** For the people who run the shop. */
@Controller('operations')
@UseGuards(OperatorGuard)
export class OperationsController {
  constructor(
    private readonly counters: MessageCounters,
    private readonly outbox: OutboxMetrics,
    private readonly deadLetters: DeadLettersService,
  ) {}

  @Get('messaging')
  async messaging(): Promise<MessagingState> {
    const { pending, retrying, dead } = await this.outbox.snapshot();
    return { outbox: { pending, retrying, dead }, ...this.counters.read() };
  }

  @Get('dead-letters')
  list(): Promise<ReadableDeadLetter[]> {
    return this.deadLetters.list();
  }

  @Post('dead-letters/:group/:messageId/redrive')
  @HttpCode(202)
  redrive(@Param('group') group: string, @Param('messageId') messageId: string): Promise<void> {
    return this.deadLetters.redrive(group, messageId);
  }
}
