import { Controller, Get, HttpCode, NotFoundException, Param, Post, Query, UseGuards } from '@nestjs/common';
import { DeadLetters, type DeadLetter, type SendReceipt } from 'nestjs-rocketmq';
import { OperatorGuard } from './operator.guard.js';

export interface DeadLetterView {
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly reason: string | undefined;
  readonly body: string;
}

/** Messages our consumer groups have given up: `orders`, `inventory` and `payment`. */
@Controller('operations/dead-letters/:group')
@UseGuards(OperatorGuard)
export class DeadLettersController {
  constructor(private readonly letters: DeadLetters) {}

  @Get()
  async list(
    @Param('group') group: string,
    @Query('cursor') cursor?: string,
  ): Promise<{ readonly items: readonly DeadLetterView[]; readonly next: string | undefined }> {
    const page = await this.letters.list(group, cursor === undefined ? {} : { cursor });
    return { items: page.items.map(view), next: page.next };
  }

  /**
   * Sends the message again, to its topic and under its old id. Every group of the topic gets it: those that have
   * handled it recognise a duplicate, and the one that gave it up handles it now.
   */
  @Post(':messageId/redrive')
  @HttpCode(202)
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
