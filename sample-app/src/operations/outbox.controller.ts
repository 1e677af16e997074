import {
  Controller,
  Delete,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  UseGuards,
} from '@nestjs/common';
import { ApiOperation, ApiSecurity, ApiTags } from '@nestjs/swagger';
import { OutboxMetrics, ParkedMessages, type ParkedPage } from 'nestjs-rocketmq';
import { OPERATOR_KEY } from '../api-document.js';
import { MessageCounters, type MessageCounts } from './message-counters.js';
import { OperatorGuard } from './operator.guard.js';

export interface MessagingState extends MessageCounts {
  readonly outbox: { readonly pending: number; readonly retrying: number; readonly dead: number };
}

@Controller('operations')
@UseGuards(OperatorGuard)
@ApiTags('operations')
@ApiSecurity(OPERATOR_KEY)
export class OutboxController {
  constructor(
    private readonly counters: MessageCounters,
    private readonly outbox: OutboxMetrics,
    private readonly parked: ParkedMessages,
  ) {}

  @Get('messaging')
  @ApiOperation({ summary: 'What this instance did, and what waits in the outbox.' })
  async messaging(): Promise<MessagingState> {
    const { pending, retrying, dead } = await this.outbox.snapshot();
    return { outbox: { pending, retrying, dead }, ...this.counters.read() };
  }

  /** Messages the broker refused. They wait here, with the reason, until somebody decides. */
  @Get('parked')
  @ApiOperation({ summary: 'Messages the broker refused.' })
  list(): Promise<ParkedPage> {
    return this.parked.list();
  }

  @Post('parked/:id/replay')
  @ApiOperation({ summary: 'Try a refused message again.' })
  @HttpCode(204)
  async replay(@Param('id', ParseIntPipe) id: number): Promise<void> {
    if ((await this.parked.replay(id)) === 0) throw new NotFoundException(`No message ${id} is parked.`);
  }

  @Delete('parked/:id')
  @ApiOperation({ summary: 'Delete a refused message for good.' })
  @HttpCode(204)
  async discard(@Param('id', ParseIntPipe) id: number): Promise<void> {
    if ((await this.parked.discard(id)) === 0) throw new NotFoundException(`No message ${id} is parked.`);
  }
}
