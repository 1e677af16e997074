import type { MessageHeaders } from 'nestjs-rocketmq';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A message a consumer group has given up, kept for an operator to look at. */
@Entity('dead_letters')
export class DeadLetter {
  /** The consumer group that gave it up; others may have handled it. */
  @PrimaryColumn({ type: 'text', name: 'consumer_group' })
  group!: string;

  @PrimaryColumn({ type: 'text', name: 'message_id' })
  messageId!: string;

  /** Where it was sent to, not where it ended. */
  @Column({ type: 'text' })
  topic!: string;

  @Column({ type: 'text', nullable: true })
  tag!: string | null;

  @Column({ type: 'jsonb' })
  keys!: readonly string[];

  @Column({ type: 'text', name: 'ordering_key', nullable: true })
  orderingKey!: string | null;

  @Column({ type: 'jsonb' })
  headers!: MessageHeaders;

  @Column({ type: 'bytea' })
  body!: Buffer;

  @Column({ type: 'timestamptz', name: 'arrived_at' })
  arrivedAt!: Date;
}
