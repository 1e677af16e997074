import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { orderStatuses, type OrderStatus } from './order.entity.js';

/** One line per thing that happened to an order, written in the transaction that made it happen. */
@Entity('order_history')
export class OrderHistory {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  @Column({ type: 'uuid', name: 'order_id' })
  orderId!: string;

  /** The status of the order after it. */
  @ApiProperty({ enum: orderStatuses })
  @Column({ type: 'text' })
  status!: OrderStatus;

  @ApiProperty()
  @Column({ type: 'text' })
  note!: string;

  @ApiProperty()
  @Column({ type: 'timestamptz' })
  at!: Date;
}
