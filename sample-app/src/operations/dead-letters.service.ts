import { Injectable, NotFoundException } from '@nestjs/common';
import { binarySerializer, Outbox } from 'nestjs-rocketmq';
import { DataSource } from 'typeorm';
import { DeadLetter } from './dead-letter.entity.js';

export type ReadableDeadLetter = Omit<DeadLetter, 'body'> & { readonly body: string };

@Injectable()
export class DeadLettersService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly outbox: Outbox,
  ) {}

  async list(): Promise<ReadableDeadLetter[]> {
    const letters = await this.dataSource.manager.find(DeadLetter, {
      order: { arrivedAt: 'DESC' },
      take: 100,
    });
    return letters.map(({ body, ...letter }) => ({ ...letter, body: body.toString() }));
  }

  /**
   * Sends the message again, to its topic, under its old message id. All groups of the topic get it: the ones that
   * have handled it recognise a duplicate, and the one that gave it up handles it now.
   */
  async redrive(group: string, messageId: string): Promise<void> {
    await this.dataSource.transaction(async (tx) => {
      const letter = await tx.findOne(DeadLetter, {
        where: { group, messageId },
        lock: { mode: 'pessimistic_write' },
      });
      if (!letter) throw new NotFoundException(`Group ${group} has no dead letter ${messageId}.`);
      const { topic, tag, body, keys, orderingKey, headers } = letter;
      await this.outbox.send(tx, tag === null ? topic : `${topic}:${tag}`, body, {
        serializer: binarySerializer,
        messageId,
        keys,
        headers,
        ...(orderingKey !== null && { orderingKey }),
      });
      await tx.delete(DeadLetter, { group, messageId });
    });
  }
}
