import { Controller, Get, HttpCode, NotFoundException, Param, Post, Query, UseGuards } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiPropertyOptional,
  ApiQuery,
  ApiSecurity,
  ApiTags,
} from '@nestjs/swagger';
import { DeadLetters, type DeadLetter, type SendReceipt } from 'nestjs-rocketmq';
import { OPERATOR_KEY } from '../api-document.js';
import { OperatorGuard } from './operator.guard.js';

export class DeadLetterView {
  @ApiProperty()
  messageId!: string;
  @ApiProperty({ description: 'Where it was sent to.' })
  topic!: string;
  @ApiPropertyOptional()
  tag?: string | undefined;
  @ApiProperty({ type: [String] })
  keys!: readonly string[];
  @ApiPropertyOptional({ description: 'Why it was given up.' })
  reason?: string | undefined;
  @ApiProperty({ description: 'As text, whatever it is.' })
  body!: string;
}

export class DeadLetterList {
  @ApiProperty({ type: [DeadLetterView] })
  items!: readonly DeadLetterView[];
  @ApiPropertyOptional({ description: 'Cursor of the next page; missing on the last.' })
  next?: string | undefined;
}

/** Messages our consumer groups have given up: `orders`, `inventory` and `payment`. */
@Controller('operations/dead-letters/:group')
@UseGuards(OperatorGuard)
@ApiTags('operations')
@ApiSecurity(OPERATOR_KEY)
@ApiParam({ name: 'group', enum: ['orders', 'inventory', 'payment'] })
export class DeadLettersController {
  constructor(private readonly letters: DeadLetters) {}

  @Get()
  @ApiOkResponse({ type: DeadLetterList })
  @ApiQuery({ name: 'cursor', required: false })
  async list(@Param('group') group: string, @Query('cursor') cursor?: string): Promise<DeadLetterList> {
    const page = await this.letters.list(group, cursor === undefined ? {} : { cursor });
    return { items: page.items.map(view), next: page.next };
  }

  /**
   * Sends the message again, to its topic and under its old id. Every group of the topic gets it: those that have
   * handled it recognise a duplicate, and the one that gave it up handles it now.
   */
  @Post(':messageId/redrive')
  @HttpCode(202)
  @ApiOperation({ summary: 'Send a dead letter again, to its topic.' })
  async redrive(@Param('group') group: string, @Param('messageId') messageId: string): Promise<SendReceipt> {
    const letter = await this.letters.find(group, messageId);
    if (!letter) throw new NotFoundException(`Group ${group} has no dead letter ${messageId}.`);
    return this.letters.redrive(letter);
  }
}

function view({ reason, message }: DeadLetter): DeadLetterView {
  const { messageId, topic, tag, keys, body } = message;
  // A letter may be dead because nobody can read its body: show the text, whatever it is.
  return { messageId, topic, tag, keys, reason, body: body.toString() };
}
