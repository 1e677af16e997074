import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  binarySerializer,
  Ctx,
  DeadLetterListener,
  RawMessage,
  RocketMQContext,
  type ReceivedMessage,
} from 'nestjs-rocketmq';
import { Repository } from 'typeorm';
import { DeadLetter } from './dead-letter.entity.js';

/** A letter may be dead because nobody can read its body: take it as bytes. */
const unread = { serializer: binarySerializer, startFrom: 'first' } as const;

/**
 * Keeps what our consumer groups have given up, so that nobody needs a tool of the broker to see it.
 *
 * There is no `@Idempotent()`: a letter that comes twice writes the same row twice. A letter that was redriven in
 * vain comes back under its old message id, and must not be mistaken for a duplicate.
 */
@Injectable()
export class DeadLetterKeeper {
  constructor(@InjectRepository(DeadLetter) private readonly letters: Repository<DeadLetter>) {}

  @DeadLetterListener({ ...unread, group: 'orders' })
  @DeadLetterListener({ ...unread, group: 'inventory' })
  @DeadLetterListener({ ...unread, group: 'payment' })
  async keep(@RawMessage() message: ReceivedMessage, @Ctx() context: RocketMQContext): Promise<void> {
    const { messageId, topic, tag, keys, orderingKey, headers, body } = message;
    const letter: DeadLetter = {
      group: context.group.replace(/-dead-letters$/, ''),
      messageId,
      topic,
      tag: tag ?? null,
      keys,
      orderingKey: orderingKey ?? null,
      headers,
      body,
      arrivedAt: new Date(),
    };
    await this.letters.upsert(letter, ['group', 'messageId']);
  }
}
